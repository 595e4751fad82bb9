"""Three slices of a brain below each other, as a grey picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pmrpipe.drawing.canvas import palette_png
from pmrpipe.drawing.views import View

_PIXELS_PER_MM, _GAP = 1.7, 6


def slices_png(views: list[View], top: float) -> tuple[bytes, tuple[int, int]]:
    """PNG of the slices `moving` of some views, and its size in pixels.

    Parameters
    ----------
    top : the intensity that is white: the same for pictures that are compared
    """
    parts = [np.repeat(_pixels(view, top)[..., None], 3, -1) for view in views]
    picture = _stacked(parts)
    return palette_png(picture, 128), (picture.shape[1], picture.shape[0])


def _size(view: View) -> tuple[int, int]:
    """Width and height, pixels."""
    rows, columns = view.moving.shape
    high, wide = view.spacing
    return round(columns * wide * _PIXELS_PER_MM), round(rows * high * _PIXELS_PER_MM)


def _pixels(view: View, top: float) -> np.ndarray:
    """The slice `moving`, (height, width) uint8, the first row above."""
    from PIL import Image

    grey = np.clip(view.moving[::-1] / max(top, 1e-6), 0, 1) * 255
    image = Image.fromarray(np.rint(grey).astype(np.uint8))
    return np.asarray(image.resize(_size(view), Image.Resampling.BILINEAR))


def _stacked(parts: list[np.ndarray]) -> np.ndarray:
    """Pictures (height, width, 3) below each other, centred on black, with gaps between."""
    width = max(part.shape[1] for part in parts)
    padded = []
    for part in parts:
        left = (width - part.shape[1]) // 2
        padded.append(np.pad(part, ((0, _GAP), (left, width - part.shape[1] - left), (0, 0))))
    return np.concatenate(padded)[:-_GAP]


def checkered(first: np.ndarray, second: np.ndarray, square: Sequence[float]) -> np.ndarray:
    """Two images (X, Y, Z) in one: of neighbouring cubes one is of the first, one of the second.

    Parameters
    ----------
    square : edge of a cube along each axis, voxels
    """
    numbers = [
        np.floor(np.arange(size) / edge).astype(int)
        for size, edge in zip(first.shape, square, strict=True)
    ]
    odd = sum(np.meshgrid(*numbers, indexing="ij", sparse=True)) % 2
    return np.where(odd == 0, first, second)


def coloured_png(views: list[View], values: list[np.ndarray], limit: float) -> bytes:
    """The same slices under a map of signed values: violet above 0, orange below.

    Parameters
    ----------
    values : (rows, columns) of each view, 0 where nothing is shown
    limit : the value of full colour
    """
    from matplotlib import colormaps
    from PIL import Image

    columns = []
    for view, slice_ in zip(views, values, strict=True):
        size = _size(view)
        share = np.clip(slice_[::-1] / limit, -1, 1).astype(np.float32)
        smooth = np.asarray(Image.fromarray(share).resize(size, Image.Resampling.BILINEAR))
        grey = _pixels(view, 1.0)[..., None] * 0.75
        colours = colormaps["PuOr"](0.5 + smooth / 2)[..., :3] * 255
        weight = np.minimum(np.abs(smooth) * 1.5, 0.85)[..., None]
        columns.append(np.rint(grey * (1 - weight) + colours * weight).astype(np.uint8))
    return palette_png(_stacked(columns), 256)
