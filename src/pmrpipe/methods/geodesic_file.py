"""Initial momenta in files: one safetensors file holds all that shooting it again needs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import atomic, write_tsv
from pmrpipe.images.volume import Grid
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.geodesic import Geodesic, shot
from pmrpipe.spatial.geodesic import Shooting
from pmrpipe.spatial.kernels import Fluid, Gaussians, Kernel
from pmrpipe.study.pack import grid_meta, meta_grid

if TYPE_CHECKING:
    from torch import Tensor

# How the file of a pair ends; of two scans it is the whole name.
ENDING = "desc-initial_momentum.safetensors"
_ARRAY = "initial_momentum"
_KERNELS: dict[str, type[Kernel]] = {"fluid": Fluid, "gaussians": Gaussians}
_REMEDY = "name what lddmm or another method that shoots has written"


@dataclass(frozen=True)
class Momentum:
    """An initial momentum as it lies in a file.

    values : (3, X, Y, Z) along the array axes of `grid`, float32
    about : of which scans and method it is, and where these lie
    """

    values: np.ndarray
    kernel: Kernel
    shooting: Shooting
    grid: Grid
    about: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, geodesic: Geodesic, **about: Any) -> Momentum:
        """Of the first of a batch of geodesics."""
        values = geodesic.momentum[0].detach().cpu().float().numpy()
        return cls(values, geodesic.kernel, geodesic.shooting, geodesic.grid, about)

    def tensor(self) -> Tensor:
        """(1, 3, X, Y, Z)."""
        import torch

        return torch.from_numpy(np.ascontiguousarray(self.values))[None]

    def at(self, factor: float = 1.0) -> Deformation:
        """Where `factor` times the momentum leads."""
        return shot(self.tensor(), self.kernel, self.shooting, self.grid, factor)


def kernel_meta(kernel: Kernel) -> dict[str, Any]:
    """A kernel as the metadata of a file say it."""
    name = next(n for n, kind in _KERNELS.items() if isinstance(kernel, kind))
    return {"kind": name, **asdict(kernel)}


def meta_kernel(meta: Mapping[str, Any]) -> Kernel:
    """The kernel that the metadata of a file say."""
    said = dict(meta)
    return _KERNELS[said.pop("kind")](**said)


def write_momentum(path: str | os.PathLike[str], momentum: Momentum) -> None:
    """Write one, atomically."""
    from safetensors.numpy import save_file

    meta = {
        "kernel": kernel_meta(momentum.kernel),
        "shooting": asdict(momentum.shooting),
        "grid": grid_meta(momentum.grid),
        "about": dict(momentum.about),
    }
    values = np.ascontiguousarray(momentum.values, np.float32)
    with atomic(path) as temporary:
        save_file({_ARRAY: values}, temporary, {"pmrpipe": json.dumps(meta)})


def read_momentum(path: str | os.PathLike[str]) -> Momentum:
    """Read one.

    Parameters
    ----------
    path : the file, or the folder of a pair that holds one

    Raises
    ------
    InputError : no such file, none or several in the folder, or a file that is no momentum
    """
    from safetensors import SafetensorError, safe_open

    path = _in_folder(Path(path))
    try:
        with safe_open(path, framework="np") as handle:
            meta = json.loads((handle.metadata() or {})["pmrpipe"])
            values = handle.get_tensor(_ARRAY)
        grid = meta_grid(meta["grid"])
        if values.shape != (3, *grid.shape) or not np.isfinite(values.sum()):
            raise ValueError("its values do not fit its grid, or are not finite")
        kernel = meta_kernel(meta["kernel"])
        return Momentum(values, kernel, Shooting(**meta["shooting"]), grid, meta["about"])
    except FileNotFoundError:
        raise InputError(path, "no such file", _REMEDY) from None
    except (SafetensorError, OSError, LookupError, TypeError, ValueError) as error:
        raise InputError(path, f"is no initial momentum ({error})", _REMEDY) from None


def write_energies(path: str | os.PathLike[str], energies: Sequence[Mapping[str, float]]) -> None:
    """Write the terms of an energy at every iteration as TSV; nothing where there are none.

    Columns: level_mm, iteration (0: the start of a level), total, regularity, matching.
    """
    if not energies:
        Path(path).unlink(missing_ok=True)
        return
    import pandas as pd

    rows = [{name: float(f"{value:.7g}") for name, value in row.items()} for row in energies]
    write_tsv(path, pd.DataFrame(rows).astype({"iteration": int}))


def _in_folder(path: Path) -> Path:
    if not path.is_dir():
        return path
    files = sorted(path.glob(f"*{ENDING}"))
    if not files:
        raise InputError(path, "holds no initial momentum", _REMEDY)
    if len(files) > 1:
        raise InputError(path, f"holds {len(files)} initial momenta", "name one of the files")
    return files[0]
