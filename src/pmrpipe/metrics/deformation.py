"""Statistics of a deformation: folding, non-diffeomorphic volume, SDlogJ, Hencky strain.

Fields are (X, Y, Z, 3) displacements in RAS mm on a grid: y = x + field(x). All differences
are taken along array axes and brought to the grid's own frame with its affine, so that a
rotated, flipped or anisotropic grid gives the determinant that an upright one would.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pmrpipe.base.threads import each
from pmrpipe.images.jacobian import determinant, in_voxels, require_on_grid
from pmrpipe.images.volume import Grid
from pmrpipe.metrics.strain import gradient_in_mm, metric_factor, strain_sums

# Bounds of det J before its logarithm, as in the Learn2Reg evaluation; the lower one also bounds
# the singular values whose logarithms make the strain.
LOG_FLOOR, LOG_CEILING = 1e-9, 1e9
# Planes handled at once: a slab of this many planes fits the processor's cache.
_SLAB = 4


@dataclass(frozen=True)
class DeformationStatistics:
    """folding_percent and ndv_percent in % of the mask; sdlogj and the strains without unit.

    strain : root mean square of the Hencky strain; its square is the sum of the squares of
        strain_volume and strain_shear
    """

    folding_percent: float
    ndv_percent: float
    sdlogj: float
    strain: float
    strain_volume: float
    strain_shear: float


IDENTITY = DeformationStatistics(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
_NOWHERE = DeformationStatistics(*[np.nan] * 6)


class _Slab(NamedTuple):
    """Of the inner voxels of a slab: det J (N,), and three sums over them.

    volume : non-diffeomorphic volume, voxels
    strain, strain_volume : sums of squares
    """

    determinants: np.ndarray
    volume: float
    strain: float
    strain_volume: float


def deformation_statistics(
    field: np.ndarray | None, grid: Grid, mask: np.ndarray
) -> DeformationStatistics:
    """Folding, non-diffeomorphic volume, SD of log det J and strain inside `mask`.

    Parameters
    ----------
    field : (X, Y, Z, 3) displacement, RAS mm, or None for the identity
    grid : where the field and the mask lie
    mask : (X, Y, Z) bool, the fixed brain. Voxels on the outermost planes of the grid are left
        out: they lack a neighbour on one side.

    Returns
    -------
    DeformationStatistics; NaN when the mask is empty
    """
    if field is None:
        return IDENTITY
    require_on_grid(field, grid)
    inner = np.zeros(mask.shape, dtype=bool)
    inner[1:-1, 1:-1, 1:-1] = mask[1:-1, 1:-1, 1:-1] > 0
    if not inner.any():
        return _NOWHERE
    factor = metric_factor(grid.affine)
    return _joined(each(lambda slab: _slab(*slab, factor), _slabs(field, grid, inner)))


def _joined(slabs: list[_Slab]) -> DeformationStatistics:
    determinants = np.concatenate([slab.determinants for slab in slabs]).astype(np.float64)
    voxels = determinants.size
    strain, of_volume = (
        sum(values) / voxels for values in zip(*(slab[2:] for slab in slabs), strict=True)
    )
    return DeformationStatistics(
        folding_percent=100.0 * int((determinants <= 0).sum()) / voxels,
        ndv_percent=100.0 * sum(slab.volume for slab in slabs) / voxels,
        sdlogj=float(np.log(np.clip(determinants, LOG_FLOOR, LOG_CEILING)).std()),
        strain=math.sqrt(strain),
        strain_volume=math.sqrt(of_volume),
        strain_shear=math.sqrt(max(strain - of_volume, 0.0)),
    )


def _slabs(
    field: np.ndarray, grid: Grid, inner: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Slabs of the voxel displacement with one plane of margin, and their inner masks."""
    box = [np.flatnonzero(inner.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    first, last = zip(*((int(b[0]), int(b[-1]) + 1) for b in box), strict=True)
    rows, columns = (slice(first[a] - 1, last[a] + 1) for a in (1, 2))
    for start in range(first[0], last[0], _SLAB):
        stop = min(start + _SLAB, last[0])
        part = in_voxels(field[start - 1 : stop + 1, rows, columns], grid)
        yield part, inner[start:stop, first[1] : last[1], first[2] : last[2]]


def _slab(displacement: np.ndarray, inner: np.ndarray, factor: np.ndarray) -> _Slab:
    """Everything about one slab from one set of differences."""
    forward, backward = _one_sided(displacement)
    central = [(ahead + behind) / 2 for ahead, behind in zip(forward, backward, strict=True)]
    determinants = determinant(central)[inner]
    volume = _folded_volume(displacement, forward, backward, inner)
    gradient = gradient_in_mm(np.stack([part[:, inner] for part in central]), factor)
    return _Slab(determinants, volume, *strain_sums(gradient, LOG_FLOOR))


def _folded_volume(
    displacement: np.ndarray,
    forward: list[np.ndarray],
    backward: list[np.ndarray],
    inner: np.ndarray,
) -> float:
    """Non-diffeomorphic volume of the inner voxels, in voxels."""
    volume = 0.0
    for sides in itertools.product((0, 1), repeat=3):
        columns = [(forward, backward)[side][axis] for axis, side in enumerate(sides)]
        volume += _negative(determinant(columns), inner)
    for sign in (-1, 1):
        volume += _negative(_central_tetrahedron(displacement, sign), inner)
    # |J| of a corner is six times the volume of its tetrahedron; the two ways of cutting a
    # cube into five tetrahedra are averaged.
    return volume / 12.0


def _negative(determinant: np.ndarray, inner: np.ndarray) -> float:
    return -float(np.minimum(determinant, 0)[inner].sum(dtype=np.float64))


def _one_sided(displacement: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Forward and backward differences along the three axes at the slab's inner voxels."""
    centre = displacement[:, 1:-1, 1:-1, 1:-1]
    forward, backward = [], []
    for axis in range(3):
        ahead, behind = ([1, 1, 1], [1, 1, 1])
        ahead[axis], behind[axis] = 2, 0
        forward.append(_shifted(displacement, ahead) - centre)
        backward.append(centre - _shifted(displacement, behind))
    return forward, backward


def _shifted(displacement: np.ndarray, start: list[int]) -> np.ndarray:
    shape = displacement.shape[1:]
    return displacement[
        (slice(None), *(slice(s, s + n - 2) for s, n in zip(start, shape, strict=True)))
    ]


def _central_tetrahedron(displacement: np.ndarray, sign: int) -> np.ndarray:
    """|J*1| (sign -1) and |J*2| (sign +1) of Liu et al.: the inner tetrahedron of each cube.

    Its edges run from a voxel to the neighbours across the three faces of a cube.
    """
    pairs = ((0, 1), (0, 2), (1, 2)) if sign < 0 else ((0, 1), (1, 2), (0, 2))
    centre = displacement[:, 1:-1, 1:-1, 1:-1]
    columns, steps = [], []
    for first, second in pairs:
        start = [1, 1, 1]
        start[first] += sign
        start[second] += sign
        columns.append(_shifted(displacement, start) - centre)
        steps.append([s - 1 for s in start])
    return determinant(columns, steps)
