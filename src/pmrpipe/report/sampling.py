"""What a picture needs of a pair: three slices of each image, of the field, of det J."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from pmrpipe.paths import TEMPLATE_KEY, Results
from pmrpipe.score.deformation import jacobian_determinant
from pmrpipe.score.regions import region_labels, scored_labels
from pmrpipe.transforms import Field, read_field, sample_points
from pmrpipe.volume import Grid, read_image, read_labels

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


class PairReader:
    """Reads pairs of one study; images that several pairs share are read once."""

    def __init__(self, results: Results, label_table: pd.DataFrame | None) -> None:
        self._results = results
        self._lookup = None if label_table is None else _region_lookup(label_table)
        self._image = lru_cache(maxsize=12)(lambda key: read_image(self._path(key)))
        self._regions = lru_cache(maxsize=12)(lambda path: self._to_regions(path))

    def _path(self, key: str) -> Path:
        return self._results.template if key == TEMPLATE_KEY else self._results.preproc(key)

    def _to_regions(self, path: Path) -> np.ndarray | None:
        if self._lookup is None or not path.exists():
            return None
        labels = read_labels(path).data
        return self._lookup[np.clip(labels, 0, len(self._lookup) - 1)]

    def views(self, method: str, moving: str, fixed: str) -> list[View] | None:
        """The three views of a pair, or None when its images are not there (any more)."""
        warped_path = self._results.warped(method, moving, fixed)
        if not all(path.exists() for path in (warped_path, self._path(moving), self._path(fixed))):
            return None
        first, second = self._image(moving), self._image(fixed)
        warped = read_image(warped_path)
        if not first.shape == second.shape == warped.shape:
            return None
        maps = (
            self._regions(self._results.dseg(moving)),
            self._regions(self._results.dseg(fixed)),
            self._to_regions(self._results.warped_dseg(method, moving, fixed)),
        )
        images = (first.data, second.data, warped.data)
        field = _read_field(self._results.field(method, moving, fixed))
        box = _brain_box(first.data, second.data)
        return [_view(*view, images, maps, field, second.grid, box) for view in VIEWS]


def _region_lookup(label_table: pd.DataFrame) -> np.ndarray:
    """Label number to region number (1, 2, ... in the regions' order), 0 elsewhere.

    Where no label belongs to a region, every scored label is region 1, 2, ... by itself.
    """
    groups = list(region_labels(label_table).values())
    groups = groups or [np.array([label]) for label in scored_labels(label_table)]
    # One entry more than the largest label: unknown larger numbers are clipped to it.
    lookup = np.zeros(int(label_table["index"].max()) + 2, np.int32)
    for number, labels in enumerate(groups, start=1):
        lookup[labels] = number
    return lookup


def _read_field(path: Path) -> Field | None:
    return read_field(path) if path.exists() else None


def _brain_box(*images: np.ndarray) -> list[tuple[int, int]]:
    brain = np.logical_or.reduce([image > 0 for image in images])
    box = []
    for axis, size in enumerate(brain.shape):
        others = tuple(other for other in range(3) if other != axis)
        inside = np.flatnonzero(brain.any(axis=others))
        first, last = (inside[0], inside[-1]) if inside.size else (0, size - 1)
        box.append((max(int(first) - _MARGIN, 0), min(int(last) + _MARGIN + 1, size)))
    return box


def _view(name: str, axis: int, fraction: float, images, maps, field, grid: Grid, box) -> View:
    start, stop = box[axis]
    cut = round(start + fraction * (stop - 1 - start))
    index = [slice(*limits) for limits in box]
    index[axis] = cut
    rows, columns = (2 if axis != 2 else 1), (0 if axis != 0 else 1)
    where = tuple(index)
    lines = jacobian = None
    if field is not None:
        lines, jacobian = _field_slice(*field, grid, axis, cut, index, (rows, columns))
    brain = images[1][where].T > 0
    flat = [None if regions is None else regions[where].T for regions in maps]
    return View(
        name,
        *(image[where].T for image in images),
        *flat,
        lines,
        jacobian,
        brain,
        (grid.spacing[rows], grid.spacing[columns]),
    )


def _field_slice(
    field: np.ndarray, own: Grid, grid: Grid, axis: int, cut: int, index: list, plane
) -> tuple[np.ndarray, np.ndarray]:
    """Moved points (2, rows, columns) in voxels of the slice, and det J, from a slab of three."""
    first = min(max(cut - 1, 0), grid.shape[axis] - 3)
    slab = list(index)
    slab[axis] = slice(first, first + 3)
    part = _part(grid, slab)
    sampled = (sample_points(part, field=(field, own)) - sample_points(part)).astype(np.float32)
    middle = [slice(None)] * 3
    middle[axis] = cut - first
    jacobian = jacobian_determinant(sampled, part)[tuple(middle)].T
    in_voxels = sampled[tuple(middle)] @ np.linalg.inv(grid.affine[:3, :3]).T
    moved = [in_voxels[..., plane[0]].T, in_voxels[..., plane[1]].T]
    steps = np.indices(moved[0].shape, dtype=np.float64)
    return steps + np.stack(moved), jacobian


def _part(grid: Grid, box: list[slice]) -> Grid:
    """The grid of a box of voxels."""
    affine = grid.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [piece.start for piece in box]
    return Grid(tuple(piece.stop - piece.start for piece in box), affine)
