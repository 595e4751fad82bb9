"""Jacobian determinant of a displacement field in millimetres, on whatever grid it lies.

Fields are (X, Y, Z, 3) displacements in RAS mm on a grid: y = x + field(x). Differences are taken
along array axes and brought to the grid's own frame with its affine, so that a rotated, flipped
or anisotropic grid gives the determinant that an upright one would.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pmrpipe.base.threads import each
from pmrpipe.images.volume import Grid

# Planes of the first axis that are worked on at once.
_SLAB = 16


def jacobian_determinant(field: np.ndarray, grid: Grid) -> np.ndarray:
    """det J of x + field(x) by central differences (one-sided on the outermost planes).

    Parameters
    ----------
    field : (X, Y, Z, 3) displacement, RAS mm
    grid : where the field lies

    Returns
    -------
    (X, Y, Z) float32; 1 = volume kept, <= 0 = folded
    """
    require_on_grid(field, grid)
    out = np.empty(grid.shape, np.float32)

    def fill(start: int) -> None:
        stop = min(start + _SLAB, grid.shape[0])
        # One plane more on each side, for the differences.
        first, last = max(start - 1, 0), min(stop + 1, grid.shape[0])
        displacement = in_voxels(field[first:last], grid)
        columns = [np.gradient(displacement, axis=axis + 1) for axis in range(3)]
        out[start:stop] = determinant(columns)[start - first : stop - first]

    each(fill, range(0, grid.shape[0], _SLAB))
    return out


def require_on_grid(field: np.ndarray, grid: Grid) -> None:
    if field.shape != (*grid.shape, 3):
        raise ValueError(f"field of shape {field.shape} on a grid of shape {grid.shape}")


def in_voxels(field: np.ndarray, grid: Grid) -> np.ndarray:
    """The displacement in voxels of its grid along the array axes, (3, X, Y, Z) float32."""
    to_voxels = np.linalg.inv(grid.affine[:3, :3])
    return np.einsum("ij,xyzj->ixyz", to_voxels, field.astype(np.float64)).astype(np.float32)


def determinant(edges: Sequence[np.ndarray], sides: object = (1, 1, 1)) -> np.ndarray:
    """det of three edge vectors, (3, ...) displacement differences plus lattice steps.

    `sides` holds the lattice steps: three numbers for steps along the axes, or three vectors.
    """
    steps = np.asarray(sides, dtype=np.float32)
    if steps.ndim == 1:
        steps = np.diag(steps)
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = (
        [part + step if step else part for part, step in zip(column, row, strict=True)]
        for column, row in zip(edges, steps, strict=True)
    )
    return ax * (by * cz - bz * cy) - bx * (ay * cz - az * cy) + cx * (ay * bz - az * by)
