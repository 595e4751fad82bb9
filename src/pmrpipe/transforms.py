"""Transform files that ITK and ANTs read, and resampling through them.

In memory everything is RAS mm: an affine is a (4, 4) matrix and a field an (X, Y, Z, 3) array of
displacements on a `Grid`. Both pull back: they take points of the *fixed* space (the template, or
the fixed scan) to points of the *moving* space, which is what resampling needs. In files they are
LPS mm, as ITK wants it. The composite is "affine after field": y = A (x + u(x)).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pmrpipe.errors import InputError
from pmrpipe.files import atomic
from pmrpipe.imagefile import open_image
from pmrpipe.interpolation import Interpolation, interpolate, prepared
from pmrpipe.volume import Grid, Volume

Field = tuple[np.ndarray, Grid]
Transform = np.ndarray | Field
_LPS = np.diag([-1.0, -1.0, 1.0])
_AFFINES = ("AffineTransform", "MatrixOffsetTransformBase")
_WRITTEN = "AffineTransform_double_3_3"
_VECTOR_INTENT = 1007
_STEPS_PER_MM = np.float32(1024)
# Voxels of the output that are worked on at once: few enough to stay in the cache.
_SLAB_VOXELS = 1 << 17


# -- affine files ------------------------------------------------------------------------------
def write_affine(
    path: str | os.PathLike[str], matrix: np.ndarray, centre: np.ndarray | None = None
) -> None:
    """Write an affine as ITK's MATLAB-4 file (.mat) or ITK text (.txt, .tfm), atomically.

    Parameters
    ----------
    matrix : (4, 4), RAS mm, fixed points -> moving points
    centre : (3,), RAS mm, ITK's centre of rotation; changes the stored numbers, not the map
    """
    linear = _LPS @ matrix[:3, :3] @ _LPS
    fixed = _LPS @ (np.zeros(3) if centre is None else np.asarray(centre, np.float64))
    # ITK: y = L (x - c) + t + c
    translation = _LPS @ matrix[:3, 3] - fixed + linear @ fixed
    numbers = np.concatenate([linear.ravel(), translation])
    write = _write_text if Path(path).suffix in (".txt", ".tfm") else _write_mat
    with atomic(path) as temporary:
        write(temporary, numbers, fixed)


def _write_mat(path: Path, numbers: np.ndarray, fixed: np.ndarray) -> None:
    from scipy.io import savemat

    content = {_WRITTEN: numbers, "fixed": fixed}
    with open(path, "wb") as handle:
        savemat(handle, content, format="4", oned_as="column")


def _write_text(path: Path, numbers: np.ndarray, fixed: np.ndarray) -> None:
    def line(values: np.ndarray) -> str:
        return " ".join(repr(float(value)) for value in values)

    path.write_text(
        f"#Insight Transform File V1.0\n#Transform 0\nTransform: {_WRITTEN}\n"
        f"Parameters: {line(numbers)}\nFixedParameters: {line(fixed)}\n",
        encoding="ascii",
    )


def read_affine(path: str | os.PathLike[str]) -> np.ndarray:
    """Read an ITK affine (.mat, .txt, .tfm) as (4, 4), RAS mm, fixed points -> moving points.

    Raises
    ------
    InputError : missing, unreadable, no 3D affine, or singular
    """
    name = Path(path)
    if not name.exists():
        raise InputError(path, "no such file")
    try:
        kind, numbers, fixed = (_read_text if name.suffix in (".txt", ".tfm") else _read_mat)(name)
    except Exception as error:  # a parser on arbitrary bytes may raise anything
        problem = f"is not a readable ITK transform ({type(error).__name__})"
        raise InputError(path, problem) from None
    if kind.split("_")[0] not in _AFFINES or numbers.size != 12 or fixed.size != 3:
        raise InputError(path, f"holds {kind}, not one 3D affine")
    linear = numbers[:9].reshape(3, 3)
    matrix = np.eye(4)
    matrix[:3, :3] = _LPS @ linear @ _LPS
    matrix[:3, 3] = _LPS @ (numbers[9:] + fixed - linear @ fixed)
    if not np.all(np.isfinite(matrix)) or abs(np.linalg.det(linear)) < 1e-6:
        raise InputError(path, "its matrix is singular or not finite")
    return matrix


def _read_mat(path: Path) -> tuple[str, np.ndarray, np.ndarray]:
    from scipy.io import loadmat

    content = {k: np.ravel(v) for k, v in loadmat(path).items() if not k.startswith("_")}
    fixed = content.pop("fixed")
    ((kind, numbers),) = content.items()
    return kind, numbers.astype(np.float64), fixed.astype(np.float64)


def _read_text(path: Path) -> tuple[str, np.ndarray, np.ndarray]:
    lines = path.read_text(encoding="ascii").splitlines()
    pairs = [line.split(":", 1) for line in lines if ":" in line and not line.startswith("#")]
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("several transforms")
    values = {key.strip(): value.strip() for key, value in pairs}
    numbers, fixed = (
        np.array([float(word) for word in values[key].split()])
        for key in ("Parameters", "FixedParameters")
    )
    return values["Transform"], numbers, fixed


# -- field files -------------------------------------------------------------------------------
def write_field(path: str | os.PathLike[str], field: np.ndarray, grid: Grid) -> None:
    """Write an ITK displacement field (5D NIfTI, vector intent, LPS mm, float32), atomically.

    Displacements are rounded to 1/1024 mm: half a micrometre at most, for two thirds of the file.

    Parameters
    ----------
    field : (X, Y, Z, 3), RAS mm, from points of `grid` (fixed) to moving points
    """
    import nibabel as nib

    if field.shape != (*grid.shape, 3):
        raise ValueError(f"field of shape {field.shape} on a grid of {grid.shape}")
    flipped = np.asarray(field, np.float32) * np.array([-1, -1, 1], np.float32)
    flipped = np.rint(flipped * _STEPS_PER_MM) / _STEPS_PER_MM
    image = nib.Nifti1Image(flipped[:, :, :, None], grid.affine)
    image.header.set_intent(_VECTOR_INTENT)
    image.header.set_xyzt_units("mm")
    image.set_sform(grid.affine, code=1)
    image.set_qform(grid.affine, code=1)
    with atomic(path) as temporary:
        nib.save(image, temporary)


def read_field(path: str | os.PathLike[str]) -> Field:
    """Read an ITK displacement field: (X, Y, Z, 3) float32 in RAS mm, and its grid.

    Raises
    ------
    InputError : as `imagefile.open_image`, and: no vector image of three components, not finite
    """
    opened = open_image(path)
    shape = opened.image.shape
    if len(shape) != 5 or shape[3:] != (1, 3):
        problem = f"has shape {'x'.join(map(str, shape))}, not X x Y x Z x 1 x 3"
        raise InputError(path, problem, "give an ITK displacement field")
    stored = opened.read(np.float32).reshape(*shape[:3], 3)
    field = np.ascontiguousarray(stored * np.array([-1, -1, 1]), dtype=np.float32)
    if not np.isfinite(field.sum()):
        raise InputError(path, "holds NaN or infinite values")
    return field, Grid(shape[:3], opened.affine)


# -- chains ------------------------------------------------------------------------------------
def read_transform(name: str | os.PathLike[str]) -> Transform:
    """Read an affine (.mat, .txt, .tfm) or a displacement field (any image file).

    "[FILE,1]" is the inverse of an affine, as antsApplyTransforms takes it.

    Raises
    ------
    InputError : as `read_affine` and `read_field`, or the inverse of a field is asked for
    """
    text = os.fspath(name)
    inverse = text.startswith("[") and text.endswith("]")
    if inverse:
        text, _, flag = text[1:-1].rpartition(",")
        inverse = flag.strip() == "1"
    if Path(text).suffix in (".mat", ".txt", ".tfm"):
        matrix = read_affine(text)
        return np.linalg.inv(matrix) if inverse else matrix
    if inverse:
        problem = "is a displacement field, which has no inverse in closed form"
        raise InputError(text, problem, "give the field of the other direction")
    return read_field(text)


def moved_points(points: np.ndarray, transforms: Sequence[Transform]) -> np.ndarray:
    """Points (3, ...), RAS mm, through transforms in their order; fields are 0 outside."""
    for transform in transforms:
        if isinstance(transform, np.ndarray):
            points = _mapped(transform, points)
        else:
            points = points + _field_at(transform, points)
    return points


def composite_field(grid: Grid, transforms: Sequence[Transform]) -> np.ndarray:
    """One field for a chain: (X, Y, Z, 3) float32, RAS mm, from points of `grid`.

    Parameters
    ----------
    transforms : in the order in which points of the fixed space go through them, which is also
        the order of antsApplyTransforms' -t
    """
    out = np.empty((*grid.shape, 3), np.float32)
    for part in _slabs(grid.shape):
        start = _world(grid.shape, grid.affine, part)
        out[part] = np.moveaxis(moved_points(start, transforms) - start, 0, -1)
    return out


# -- resampling --------------------------------------------------------------------------------
# No BLAS below: its sums depend on its number of threads, and results must not.
def sample_points(
    grid: Grid, affine: np.ndarray | None = None, field: Field | None = None
) -> np.ndarray:
    """Where each voxel of the fixed `grid` samples the moving image.

    Parameters
    ----------
    affine : (4, 4), RAS mm, fixed -> moving points, applied after the field
    field : (X, Y, Z, 3) in RAS mm and the grid it lies on, interpolated linearly, 0 outside

    Returns
    -------
    (X, Y, Z, 3) float64, world coordinates in RAS mm of the moving space; a view whose components
    are contiguous one by one
    """
    points = np.empty((3, *grid.shape))
    for part in _slabs(grid.shape):
        if field is None:
            points[:, part] = _world(
                grid.shape, grid.affine if affine is None else affine @ grid.affine, part
            )
            continue
        x = _world(grid.shape, grid.affine, part)
        x += _displacement(field, grid, part, x)
        points[:, part] = x if affine is None else _mapped(affine, x)
    return np.moveaxis(points, 0, -1)


def sample_displacement(field: Field, grid: Grid) -> np.ndarray:
    """A field on another grid: (X, Y, Z, 3) float32, RAS mm, linear, 0 outside."""
    if field[1] == grid:
        return field[0]
    step = np.linalg.inv(field[1].affine) @ grid.affine
    if np.allclose(step[:3, :3], np.diag(np.diag(step)[:3]), rtol=0, atol=1e-9):
        return _along_axes(field[0], step, grid.shape)
    out = np.empty((*grid.shape, 3), np.float32)
    for part in _slabs(grid.shape):
        world = _world(grid.shape, grid.affine, part)
        out[part] = np.moveaxis(_displacement(field, grid, part, world), 0, -1)
    return out


def _along_axes(values: np.ndarray, step: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Linear interpolation axis by axis, where the axes of both grids are parallel; 0 outside.

    `step` takes voxels of the new grid to those of `values`.
    """
    for axis, (size, held) in enumerate(zip(shape, values.shape, strict=False)):
        index = step[axis, axis] * np.arange(size) + step[axis, 3]
        inside = (index >= -0.5) & (index < held - 0.5)
        within = np.clip(index, 0, held - 1)
        low = np.floor(within).astype(np.intp)
        form = [-1 if a == axis else 1 for a in range(values.ndim)]
        high_share = ((within - low) * inside).astype(np.float32).reshape(form)
        low_share = ((1 - within + low) * inside).astype(np.float32).reshape(form)
        high = np.minimum(low + 1, held - 1)
        values = values.take(low, axis) * low_share + values.take(high, axis) * high_share
    return values


def resample(
    volume: Volume, points: np.ndarray, interpolation: Interpolation = "linear", fill: float = 0
) -> np.ndarray:
    """Values of `volume` at world points.

    Parameters
    ----------
    points : (..., 3), RAS mm in the space of `volume` (see `sample_points`)
    interpolation : "linear" or "bspline" (cubic; float32), "nearest" or "genericLabel" (type of
        the volume)
    fill : value outside the volume: more than half a voxel beyond its outer voxel centres

    Returns
    -------
    (...), for the points of a grid (X, Y, Z)
    """
    data = prepared(volume.data, interpolation)
    components = np.moveaxis(points, -1, 0).reshape(3, -1)
    out = np.empty(components.shape[1], data.dtype)
    inverse = np.linalg.inv(volume.affine)
    for start in range(0, out.size, _SLAB_VOXELS):
        part = slice(start, start + _SLAB_VOXELS)
        index = _mapped(inverse, components[:, part])
        out[part] = interpolate(data, index, interpolation, fill)
    return out.reshape(points.shape[:-1])


def _slabs(shape: tuple[int, ...]) -> Iterator[slice]:
    """Slices of the first axis that together cover it."""
    thickness = max(1, _SLAB_VOXELS // max(1, shape[1] * shape[2]))
    for start in range(0, shape[0], thickness):
        yield slice(start, min(start + thickness, shape[0]))


def _world(shape: tuple[int, ...], affine: np.ndarray, part: slice) -> np.ndarray:
    """Coordinates (3, x, Y, Z) of the voxels of one slab under an affine of voxel indices."""
    i, j, k = (np.arange(n, dtype=np.float64) for n in shape)
    i, j, k = i[part, None, None], j[None, :, None], k[None, None, :]
    return np.stack([(row[0] * i + row[3]) + row[1] * j + row[2] * k for row in affine[:3]])


def _mapped(affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    """An affine (4, 4) on points (3, ...)."""
    x, y, z = points
    return np.stack([row[0] * x + row[1] * y + row[2] * z + row[3] for row in affine[:3]])


def _displacement(field: Field, grid: Grid, part: slice, points: np.ndarray) -> np.ndarray:
    """The field at the voxels of one slab: (3, x, Y, Z)."""
    values, own = field
    return np.moveaxis(values[part], -1, 0) if own == grid else _field_at(field, points)


def _field_at(field: Field, points: np.ndarray) -> np.ndarray:
    """The field (3, ...) at world points (3, ...)."""
    values, own = field
    index = _mapped(np.linalg.inv(own.affine), points)
    flat = index.reshape(3, -1)
    found = [interpolate(values[..., c], flat, "linear", 0) for c in range(3)]
    return np.stack(found).reshape(index.shape)
