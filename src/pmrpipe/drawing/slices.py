"""Three slices of a brain below each other, as a grey picture."""

from __future__ import annotations

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
    from PIL import Image

    columns = []
    for view in views:
        rows, wide = view.moving.shape
        size = tuple(
            round(n * mm * _PIXELS_PER_MM)
            for n, mm in zip((wide, rows), view.spacing[::-1], strict=True)
        )
        grey = np.clip(view.moving[::-1] / max(top, 1e-6), 0, 1) * 255
        image = Image.fromarray(np.rint(grey).astype(np.uint8))
        columns.append(np.asarray(image.resize(size, Image.Resampling.BILINEAR)))  # type: ignore[arg-type]
    width = max(part.shape[1] for part in columns)
    padded = [_centred(part, width) for part in columns]
    picture = np.concatenate(padded)[:-_GAP]
    return palette_png(np.repeat(picture[..., None], 3, -1), 128), (width, len(picture))


def _centred(part: np.ndarray, width: int) -> np.ndarray:
    """On black, as wide as the others, with a gap below."""
    left = (width - part.shape[1]) // 2
    return np.pad(part, ((0, _GAP), (left, width - part.shape[1] - left)))
