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

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import atomic
from pmrpipe.images.header import require_straight, set_affine
from pmrpipe.images.open import OpenImage, open_image
from pmrpipe.images.orientation import corner_distance, disagreement

_MASK_REMEDY = "give zeros and ones, or probabilities"


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


def read_image(
    path: str | os.PathLike[str], orientation: str | None = None, *, sheared: bool = False
) -> Volume:
    """Read a 3D intensity image as float32 (a 4D file of one volume is squeezed).

    Parameters
    ----------
    path : NIfTI-1/2, Analyze or FreeSurfer file
    orientation : directions of the voxel axes ("RAS", "LPS" ...), for headers that state none
    sheared : take an affine whose voxel axes do not stand at right angles, which cannot be written

    Raises
    ------
    InputError : as `open.open_image`, and: several volumes, all zero, constant, not finite,
        sheared
    """
    opened = _open_3d(path, orientation, sheared)
    data = np.ascontiguousarray(opened.read(np.float32), dtype=np.float32)
    low, high = float(data.min()), float(data.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(path, "holds NaN or infinite values", "replace them by numbers")
    if low == high:
        problem = "is all zero" if low == 0 else f"is constant ({low:g} everywhere)"
        raise InputError(path, problem, "check how it was exported")
    return Volume(data, opened.affine)


def read_labels(
    path: str | os.PathLike[str], orientation: str | None = None, *, sheared: bool = False
) -> Volume:
    """Read a 3D label map as int32; InputError as `read_image`, or when it holds no integers
    of 0 and above.

    A map without any label is read as it is.
    """
    opened = _open_3d(path, orientation, sheared)
    values = opened.read()
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(path, "holds NaN or infinite values", "give a label map of integers")
    if max(-low, high) > np.iinfo(np.int32).max:
        raise InputError(path, f"holds values from {low:g} to {high:g}, which are no label numbers")
    if low < 0:
        remedy = "labels are 0 and above: were large ones written as 16 bits?"
        raise InputError(path, f"holds labels below 0 ({low:g})", remedy)
    if values.dtype.kind == "f":
        values = _whole_numbers(path, values)
    return Volume(np.ascontiguousarray(values, dtype=np.int32), opened.affine)


def read_mask(path: str | os.PathLike[str], orientation: str | None = None) -> Volume:
    """Read a 3D mask as bool.

    Two values: the larger one is inside. Values from 0 to 1 are probabilities, and those of at
    least a half are inside. FreeSurfer's brainmask.mgz holds the brain itself: what is above 1 is
    inside (1 marks what a person erased).

    Raises
    ------
    InputError : as `read_labels`, and: empty, or neither a mask nor probabilities
    """
    opened = _open_3d(path, orientation)
    values = opened.read()
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(path, "holds NaN or infinite values", "give a mask of zeros and ones")
    if high <= 0:
        raise InputError(path, "is an empty mask")
    level = _mask_level(path, values, low, high)
    return Volume(np.ascontiguousarray(values >= level), opened.affine)


def _mask_level(path: str | os.PathLike[str], values: np.ndarray, low: float, high: float) -> float:
    """The smallest value that is inside; interpolation may overshoot 0 and 1 a little."""
    if low >= -0.1 and 0.5 <= high <= 1.1:
        return 0.5
    if low == 0 and not ((values > 0) & (values < high)).any():
        return high
    if Path(path).suffix == ".mgz" and low == 0:
        return float(np.nextafter(np.float32(1), np.float32(2)))
    if low >= 0 and high < 0.5:
        raise InputError(path, f"no voxel reaches a half (largest {high:g})", _MASK_REMEDY)
    problem = f"holds values from {low:g} to {high:g}, neither a mask nor probabilities from 0 to 1"
    raise InputError(path, problem, _MASK_REMEDY)


def read_grid(path: str | os.PathLike[str], orientation: str | None = None) -> Grid:
    """The grid of a 3D image from its header alone; InputError as `open.open_image`."""
    opened = _open_3d(path, orientation)
    return Grid(opened.shape, opened.affine)  # type: ignore[arg-type]


def header_disagreement(path: str | os.PathLike[str]) -> float:
    """How far in mm sform and qform put the corners of an image apart; 0 without two of them.

    At most 9999: an invalid qform counts as that.
    """
    return min(disagreement(open_image(path, "RAS").image), 9999.0)


def _open_3d(
    path: str | os.PathLike[str], orientation: str | None, sheared: bool = False
) -> OpenImage:
    opened = open_image(path, orientation)
    if len(opened.shape) > 3:
        count = int(np.prod(opened.shape[3:]))
        remedy = "give one volume (for example their mean)"
        raise InputError(path, f"holds {count} volumes, not one", remedy)
    if min(opened.shape) < 2:
        shape = "x".join(str(n) for n in opened.shape)
        raise InputError(path, f"has shape {shape}, not that of a 3D image")
    if not sheared:
        require_straight(path, opened.affine, opened.shape)
    return opened


def _whole_numbers(path: str | os.PathLike[str], values: np.ndarray) -> np.ndarray:
    """Values rounded; a scaled integer may be off by the rounding of its slope, no more."""
    rounded = np.rint(values)
    off = np.abs(values - rounded)
    if off.max() > 1e-3:
        example = values.flat[int(off.argmax())]
        problem = f"holds values that are no integers ({example:g})"
        raise InputError(path, problem, "labels must be resampled by nearest neighbour")
    return rounded


def write_volume(
    path: str | os.PathLike[str], data: np.ndarray, affine: np.ndarray, dtype: Any = None
) -> None:
    """Write a NIfTI-1 image atomically, sform and qform both set (code 1, scanner).

    The bytes depend on the content alone: the gzip header carries no name and no time. The header
    reads alike in nibabel and ITK (see `header.set_affine`).

    Raises
    ------
    InputError : the affine is sheared, or the name is none of NIfTI
    """
    import nibabel as nib

    require_image_name(path)
    array = _writable(np.asarray(data, dtype=dtype))
    image = nib.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm")
    set_affine(image, affine, path)
    with atomic(path) as temporary:
        nib.save(image, temporary)


def require_image_name(path: str | os.PathLike[str]) -> None:
    """InputError for an output whose name does not say NIfTI."""
    if not os.fspath(path).lower().endswith((".nii", ".nii.gz")):
        raise InputError(path, "is no name of an image that is written", "end it by .nii.gz")


def _writable(array: np.ndarray) -> np.ndarray:
    """The array in a type that NIfTI-1 programs read."""
    if array.dtype == bool:
        return array.astype(np.uint8)
    if array.dtype in (np.float64, np.float16):
        return array.astype(np.float32)
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
        return array.astype(np.int32)
    return array


def require_same_grid(
    first: Volume | Grid, second: Volume | Grid, name: object, other: object
) -> None:
    """Raise InputError unless both lie on one grid (corners within 0.1 mm).

    Parameters
    ----------
    first, second : volumes or grids read from the files `name` and `other`
    """
    remedy = "both must lie on the same voxel grid"
    if first.shape != second.shape:
        shapes = ("x".join(str(n) for n in shape) for shape in (first.shape, second.shape))
        raise InputError(name, "shape {} differs from {} of {}".format(*shapes, other), remedy)
    far = corner_distance(first.affine, second.affine, first.shape)
    if not far < 0.1:
        problem = f"its affine differs from that of {other} (by up to {far:.3g} mm)"
        raise InputError(name, problem, remedy)
