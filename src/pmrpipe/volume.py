"""An image with its affine: read, check, write.

Arrays are indexed (X, Y, Z); affines map voxel indices to world millimetres in RAS+.
nibabel is imported where it is used, so that a machine that only trains does not need it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pmrpipe.errors import InputError
from pmrpipe.files import atomic


@dataclass(frozen=True, eq=False)
class Grid:
    """A sampling grid: `shape` (X, Y, Z) and `affine` (4, 4), voxel index to RAS mm."""

    shape: tuple[int, int, int]
    affine: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        object.__setattr__(self, "affine", np.asarray(self.affine, dtype=np.float64))

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance between voxel centres along each array axis, in mm."""
        lengths = np.linalg.norm(self.affine[:3, :3], axis=0)
        return tuple(float(length) for length in lengths)  # type: ignore[return-value]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grid):
            return NotImplemented
        return self.shape == other.shape and np.allclose(self.affine, other.affine, atol=1e-4)

    def __hash__(self) -> int:
        return hash(self.shape)

    def rescaled(self, mm: float) -> Grid:
        """The grid with isotropic voxels of `mm` that shares this grid's field of view."""
        spacing = np.asarray(self.spacing)
        shape = tuple(max(1, round(n * s / mm)) for n, s in zip(self.shape, spacing, strict=True))
        zoom = np.asarray(self.shape) / np.asarray(shape)
        affine = self.affine.copy()
        affine[:3, :3] *= zoom
        # The outer faces stay where they are, so the first centre moves by half the difference.
        affine[:3, 3] += self.affine[:3, :3] @ ((zoom - 1) / 2)
        return Grid(shape, affine)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Volume:
    """A 3D image: `data` (X, Y, Z) and `affine` (4, 4), voxel index to RAS mm."""

    data: np.ndarray
    affine: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.data.shape  # type: ignore[return-value]

    @property
    def grid(self) -> Grid:
        return Grid(self.shape, self.affine)

    @property
    def spacing(self) -> tuple[float, float, float]:
        return self.grid.spacing


def read_image(path: str | os.PathLike[str], orientation: str | None = None) -> Volume:
    """Read a 3D intensity image as float32; InputError says what is wrong with the file."""
    return _read(path, np.float32, orientation)


def read_labels(path: str | os.PathLike[str], orientation: str | None = None) -> Volume:
    """Read a 3D label map as int32."""
    return _read(path, np.int32, orientation)


def read_mask(path: str | os.PathLike[str], orientation: str | None = None) -> Volume:
    """Read a 3D mask: voxels above zero are inside."""
    volume = _read(path, np.float32, orientation)
    return Volume(volume.data > 0, volume.affine)


def _read(path: str | os.PathLike[str], dtype: Any, orientation: str | None) -> Volume:
    import nibabel as nib

    if not Path(path).exists():
        raise InputError(path, "no such file")
    image = nib.load(path)
    data = np.asanyarray(image.dataobj)
    if data.ndim == 4 and data.shape[3] == 1:
        data = data[..., 0]
    return Volume(np.ascontiguousarray(data, dtype=dtype), np.asarray(image.affine, np.float64))


def write_volume(
    path: str | os.PathLike[str], data: np.ndarray, affine: np.ndarray, dtype: Any = None
) -> None:
    """Write a NIfTI-1 image atomically, sform and qform both set (code 1, scanner).

    The bytes depend on the content alone: the gzip header carries no name and no time.
    """
    import nibabel as nib

    array = np.asarray(data, dtype=dtype)
    if array.dtype == bool:
        array = array.astype(np.uint8)
    image = nib.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    with atomic(path) as temporary:
        nib.save(image, temporary)


def require_same_grid(first: Volume, second: Volume, name: object, other: object) -> None:
    """Raise InputError unless both lie on one grid; `name` and `other` are their files."""
    if first.shape != second.shape:
        problem = f"shape {first.shape} differs from {second.shape} of {other}"
        raise InputError(name, problem, "both must lie on the same voxel grid")
    if not np.allclose(first.affine, second.affine, atol=1e-2):
        problem = f"its affine differs from that of {other}"
        raise InputError(name, problem, "both must lie on the same voxel grid")
