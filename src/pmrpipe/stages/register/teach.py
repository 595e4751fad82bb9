"""A teacher on training pairs: its fields, which other methods learn from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pmrpipe.base.device import chosen_device
from pmrpipe.base.errors import InputError
from pmrpipe.base.files import write_tsv
from pmrpipe.images.transforms import write_field
from pmrpipe.images.volume import Volume, read_image
from pmrpipe.study.keys import named_pair
from pmrpipe.study.options.registration import Teaching
from pmrpipe.study.paths import Results

if TYPE_CHECKING:
    from torch import Tensor

    from pmrpipe.methods.deformation import Deformation

Pair = tuple[str, str]
Follow = Callable[[Sequence[Pair]], Iterable[Pair]]
# Images of this many scans are kept: the pairs of a job share their scans.
_KEPT = 8


def teach(results: Path, out: Path, options: Teaching, follow: Follow = iter) -> None:
    """Register training pairs, write each one's field, and their list to `out` at the end.

    Parameters
    ----------
    results : result folder of the cohort
    follow : goes through the pairs, and tells of them

    Raises
    ------
    InputError : no such method, one that deforms nothing, weights of another, a scan that is not
        preprocessed
    """
    import pandas as pd
    import torch

    from pmrpipe.methods.load import load_method

    torch.set_num_threads(options.threads)
    device = chosen_device(options.device)
    spec, method = load_method(
        options.method,
        weights=options.weights,
        network_mm=options.network_mm,
        seed=options.seed,
        device=device,
    )
    if not spec.deforms:
        raise InputError(spec.name, "deforms nothing, so that nothing can be learned from it")
    paths = Results.of(results, options)
    image = lru_cache(_KEPT)(lambda key: read_image(paths.preproc(key)))
    pairs = [named_pair(name) for name in options.pairs]
    for moving, fixed in follow(pairs):
        x, y = (_tensor(image(key)).to(device) for key in (moving, fixed))
        with torch.no_grad():
            deformation = method.register(x, y, image(fixed).grid)
        field = paths.teacher_field(options.name or spec.name, moving, fixed)
        write_field(field, deformation.millimetres(), deformation.grid)
        momentum = paths.teacher_momentum(options.name or spec.name, moving, fixed)
        _write_momentum(momentum, deformation)
    write_tsv(out, pd.DataFrame(pairs, columns=["moving", "fixed"]))


def _write_momentum(path: Path, deformation: Deformation) -> None:
    """The initial momentum of a teacher that shoots; that of an older one goes."""
    from pmrpipe.methods.geodesic import Geodesic
    from pmrpipe.methods.geodesic_file import Momentum, write_momentum

    geodesic = deformation.parametrisation
    if isinstance(geodesic, Geodesic):
        write_momentum(path, Momentum.of(geodesic))
    else:
        path.unlink(missing_ok=True)


def _tensor(volume: Volume) -> Tensor:
    import torch

    return torch.from_numpy(volume.data)[None, None]
