"""What a picture needs of a pair: three slices of each image, of the field, of det J."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pmrpipe.images.jacobian import jacobian_determinant
from pmrpipe.images.resampling import Field, sample_points
from pmrpipe.images.volume import Grid

# Views: the axis cut, and where, as a fraction of the brain's extent. The sagittal cut lies
# beside the midline, where there is cortex.
VIEWS = (("axial", 2, 0.52), ("coronal", 1, 0.48), ("sagittal", 0, 0.36))
_MARGIN = 3


@dataclass(frozen=True)
class View:
    """One slice of everything; arrays (rows, columns) are drawn with their origin below.

    moving, fixed, warped : images in [0, 1]
    *_regions : region numbers, 0 outside, or None without labels
    grid_lines : (2, rows, columns) position of each moved point in voxels of the slice, or None
    jacobian : det J, or None
    brain : the fixed brain
    spacing : mm per row, mm per column
    uncertainty : standard deviation of the displacement in mm, or None
    levels : what `grid_lines` would be by each level alone, the finest first
    """

    name: str
    moving: np.ndarray
    fixed: np.ndarray
    warped: np.ndarray
    moving_regions: np.ndarray | None
    fixed_regions: np.ndarray | None
    warped_regions: np.ndarray | None
    grid_lines: np.ndarray | None
    jacobian: np.ndarray | None
    brain: np.ndarray
    spacing: tuple[float, float]
    uncertainty: np.ndarray | None = None
    levels: tuple[np.ndarray, ...] = ()


def views_of(
    images: tuple[np.ndarray, np.ndarray, np.ndarray],
    grid: Grid,
    field: Field | None,
    maps: tuple[np.ndarray | None, ...] = (None, None, None),
    to_regions: Callable[[np.ndarray], np.ndarray] | None = None,
    *,
    uncertainty: np.ndarray | None = None,
    levels: Sequence[Field] = (),
) -> list[View]:
    """The three views of a pair.

    Parameters
    ----------
    images : moving, fixed and warped, (X, Y, Z) in [0, 1] on `grid`, background 0
    field : displacement in RAS mm and the grid it lies on
    maps : their label maps, where there are any
    to_regions : label numbers to region numbers
    uncertainty : standard deviation of the displacement in mm, (X, Y, Z) on `grid`
    levels : displacement by each level alone, as `field`
    """
    box = _brain_box(*images[:2])

    def view(cut: _Cut) -> View:
        flat = [None if m is None or to_regions is None else to_regions(cut.of(m)) for m in maps]
        lines, jacobian = (None, None) if field is None else cut.of_field(*field)
        shown = [cut.of(image) for image in images]
        names = ("moving", "fixed", "warped")
        sides: dict[str, Any] = dict(zip(names, shown, strict=True))
        sides |= {f"{name}_regions": m for name, m in zip(names, flat, strict=True)}
        return View(
            cut.name,
            **sides,
            grid_lines=lines,
            jacobian=jacobian,
            brain=shown[1] > 0,
            spacing=cut.spacing,
            uncertainty=None if uncertainty is None else cut.of(uncertainty),
            levels=tuple(cut.lines_of(*level) for level in levels),
        )

    return [view(_Cut.through(*place, box, grid)) for place in VIEWS]


@dataclass(frozen=True)
class _Cut:
    """A slice through a box of a grid: rows are the higher array axis, columns the lower."""

    name: str
    axis: int
    place: int
    box: tuple[tuple[int, int], ...]
    grid: Grid

    @classmethod
    def through(cls, name: str, axis: int, fraction: float, box: list, grid: Grid) -> _Cut:
        start, stop = box[axis]
        return cls(name, axis, round(start + fraction * (stop - 1 - start)), tuple(box), grid)

    @property
    def plane(self) -> tuple[int, int]:
        """Array axes of the rows and of the columns."""
        columns, rows = (axis for axis in range(3) if axis != self.axis)
        return rows, columns

    @property
    def spacing(self) -> tuple[float, float]:
        rows, columns = self.plane
        return self.grid.spacing[rows], self.grid.spacing[columns]

    def of(self, values: np.ndarray) -> np.ndarray:
        """The slice of a volume, (rows, columns)."""
        index: list[slice | int] = [slice(*limits) for limits in self.box]
        index[self.axis] = self.place
        return values[tuple(index)].T

    def of_field(self, field: np.ndarray, own: Grid) -> tuple[np.ndarray, np.ndarray]:
        """Moved points (2, rows, columns) in voxels of the slice, and det J, from three planes."""
        first = min(max(self.place - 1, 0), self.grid.shape[self.axis] - 3)
        part, moved = self._displacement(field, own, first, 3)
        middle: list[slice | int] = [slice(None)] * 3
        middle[self.axis] = self.place - first
        jacobian = jacobian_determinant(moved.astype(np.float32), part)[tuple(middle)].T
        return self._lines(moved[tuple(middle)]), jacobian

    def lines_of(self, field: np.ndarray, own: Grid) -> np.ndarray:
        """Moved points alone."""
        _, moved = self._displacement(field, own, self.place, 1)
        return self._lines(moved.squeeze(self.axis))

    def _displacement(
        self, field: np.ndarray, own: Grid, first: int, planes: int
    ) -> tuple[Grid, np.ndarray]:
        slab = [slice(*limits) for limits in self.box]
        slab[self.axis] = slice(first, first + planes)
        part = _part(self.grid, slab)
        return part, sample_points(part, field=(field, own)) - sample_points(part)

    def _lines(self, moved: np.ndarray) -> np.ndarray:
        in_voxels = moved @ np.linalg.inv(self.grid.affine[:3, :3]).T
        shift = np.stack([in_voxels[..., axis].T for axis in self.plane])
        return np.indices(shift.shape[1:], dtype=np.float64) + shift


def _part(grid: Grid, box: list[slice]) -> Grid:
    """The grid of a box of voxels."""
    affine = grid.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [piece.start for piece in box]
    return Grid(tuple(piece.stop - piece.start for piece in box), affine)


def _brain_box(*images: np.ndarray) -> list[tuple[int, int]]:
    """First and last voxel plus margin of what is above 0 in any image, for each axis."""
    brain = np.logical_or.reduce([image > 0 for image in images])
    box = []
    for axis, size in enumerate(brain.shape):
        others = tuple(other for other in range(3) if other != axis)
        inside = np.flatnonzero(brain.any(axis=others))
        first, last = (inside[0], inside[-1]) if inside.size else (0, size - 1)
        box.append((max(int(first) - _MARGIN, 0), min(int(last) + _MARGIN + 1, size)))
    return box
