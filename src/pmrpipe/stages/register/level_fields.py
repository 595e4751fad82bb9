"""What each level of a multilayer network contributes to a pair's deformation (Fig. 3 b to d)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pmrpipe.base.device import chosen_device
from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_tsv, write_tsv
from pmrpipe.images.transforms import write_field
from pmrpipe.images.volume import Grid, read_image
from pmrpipe.methods.load import load_method
from pmrpipe.methods.protocols import Layered
from pmrpipe.metrics.choice import choose_pairs
from pmrpipe.stages.register.pairs import Pair
from pmrpipe.study.options.registration import LevelFields
from pmrpipe.study.paths import Results

if TYPE_CHECKING:
    from torch import Tensor

    from pmrpipe.methods.deformation import Deformation

Follow = Callable[[Sequence[Pair]], Iterable[Pair]]
# Fine enough for a picture of a grid, and an eighth of the disk of 2 mm.
_STORED_MM = 4.0


def write_levels(results: Path, options: LevelFields, follow: Follow = iter) -> None:
    """Write what each level of a network contributes to the pairs that the report shows.

    Raises
    ------
    InputError : the method has no levels, or its pairs are not scored
    """
    import pandas as pd
    import torch

    device = chosen_device(options.device)
    torch.set_num_threads(options.threads)
    spec, method = load_method(
        options.method, weights=options.weights, network_mm=options.network_mm, device=device
    )
    if not isinstance(method, Layered):
        raise InputError(options.method, "has no levels", "name a multilayer network")
    name, paths = options.name or spec.name, Results.of(results, options)
    scores = read_tsv(paths.score(name) / "by_pair.tsv", ("moving", "fixed", "dice", "ncc"))
    pairs = [(moving, fixed) for _, moving, fixed, _ in choose_pairs(scores)]
    rows = list(write_level_fields(method, name, paths, follow(pairs), device))
    table = pd.DataFrame(rows, columns=["moving", "fixed", "level", "max_mm"])
    write_tsv(paths.levels(name) / "levels.tsv", table)


def write_level_fields(
    method: Layered, name: str, results: Results, pairs: Iterable[Pair], device: str = "cpu"
) -> Iterator[dict[str, Any]]:
    """Write the displacement that every level alone gives, for each pair.

    Parameters
    ----------
    method : a network of several levels
    name : name of the method's result folder

    Yields
    ------
    moving, fixed, level (1 = the method's first, the finest) and max_mm, its longest displacement
    """
    import torch

    for moving, fixed in pairs:
        images = [read_image(results.preproc(key)) for key in (moving, fixed)]
        tensors = [torch.from_numpy(image.data)[None, None].to(device) for image in images]
        for level, part in enumerate(_parts(method, tensors, images[1].grid), 1):
            field = part.millimetres()
            write_field(results.level_field(name, moving, fixed, level), field, part.grid)
            longest = float(np.linalg.norm(field, axis=-1).max())
            yield {"moving": moving, "fixed": fixed, "level": level, "max_mm": longest}


def _parts(method: Layered, images: list[Tensor], grid: Grid) -> list[Deformation]:
    import torch

    inner = method.grid(grid)
    stored = grid.rescaled(_STORED_MM) if max(inner.spacing) < _STORED_MM else inner
    with torch.no_grad():
        moving, fixed = (method.seen(image, inner) for image in images)
        return [part.resampled(stored) for part in method.contributions(moving, fixed, inner)]
