"""Where points go through affines and displacement fields, and images sampled there.

Everything is RAS mm: an affine is a (4, 4) matrix and a field an (X, Y, Z, 3) array of
displacements on a `Grid`. Both take points of the fixed space to points of the moving space. No
BLAS here: its sums depend on its number of threads, and results must not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pmrpipe.base.threads import each
from pmrpipe.images.interpolation import Interpolation, interpolate, prepared
from pmrpipe.images.volume import Grid, Volume

Field = tuple[np.ndarray, Grid]
Transform = np.ndarray | Field
# Voxels of the output that are worked on at once: few enough to stay in the cache.
_SLAB_VOXELS = 1 << 17


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

    def fill(part: slice) -> None:
        start = _world(grid.shape, grid.affine, part)
        out[part] = np.moveaxis(moved_points(start, transforms) - start, 0, -1)

    each(fill, _slabs(grid.shape))
    return out


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

    def fill(part: slice) -> None:
        if field is None:
            whole = grid.affine if affine is None else affine @ grid.affine
            points[:, part] = _world(grid.shape, whole, part)
            return
        x = _world(grid.shape, grid.affine, part)
        x += _displacement(field, grid, part, x)
        points[:, part] = x if affine is None else _mapped(affine, x)

    each(fill, _slabs(grid.shape))
    return np.moveaxis(points, 0, -1)


def slabs_of_points(grid: Grid, affine: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """`sample_points` of a grid and an affine slab by slab: planes of the first axis, and points.

    The points are (x, Y, Z, 3).
    """
    for part in _slabs(grid.shape):
        yield part, np.moveaxis(_world(grid.shape, affine @ grid.affine, part), 0, -1)


def sample_displacement(field: Field, grid: Grid) -> np.ndarray:
    """A field on another grid: (X, Y, Z, 3) float32, RAS mm, linear, 0 outside."""
    if field[1] == grid:
        return field[0]
    step = np.linalg.inv(field[1].affine) @ grid.affine
    if np.allclose(step[:3, :3], np.diag(np.diag(step)[:3]), rtol=0, atol=1e-9):
        return _along_axes(field[0], step, grid.shape)
    out = np.empty((*grid.shape, 3), np.float32)

    def fill(part: slice) -> None:
        world = _world(grid.shape, grid.affine, part)
        out[part] = np.moveaxis(_displacement(field, grid, part, world), 0, -1)

    each(fill, _slabs(grid.shape))
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

    def sample(start: int) -> None:
        part = slice(start, start + _SLAB_VOXELS)
        index = _mapped(inverse, components[:, part])
        out[part] = interpolate(data, index, interpolation, fill)

    each(sample, range(0, out.size, _SLAB_VOXELS))
    return out.reshape(points.shape[:-1])


def resample_through(
    volume: Volume, grid: Grid, field: Field, interpolation: Interpolation = "linear"
) -> np.ndarray:
    """`resample` at the `sample_points` of a grid and a field, which are never held all at once.

    Returns
    -------
    (X, Y, Z) on `grid`, 0 outside the volume
    """
    prefiltered = prepared(volume.data, interpolation)
    out = np.empty(grid.shape, prefiltered.dtype)
    inverse = np.linalg.inv(volume.affine)

    def sample(part: slice) -> None:
        points = _world(grid.shape, grid.affine, part)
        points += _displacement(field, grid, part, points)
        index = _mapped(inverse, points).reshape(3, -1)
        out[part] = interpolate(prefiltered, index, interpolation, 0).reshape(out[part].shape)

    each(sample, _slabs(grid.shape))
    return out


def within(grid: Grid, points: np.ndarray) -> np.ndarray:
    """Whether each point (..., 3), RAS mm, lies in a voxel of the grid: bool (...)."""
    index = _mapped(np.linalg.inv(grid.affine), np.moveaxis(points, -1, 0))
    inside = [(i > -0.5) & (i < n - 0.5) for i, n in zip(index, grid.shape, strict=True)]
    return inside[0] & inside[1] & inside[2]


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
    parts = [interpolate(values[..., c], flat, "linear", 0) for c in range(3)]
    return np.stack(parts).reshape(index.shape)
