"""Grey slices and maps of signed values over them."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from pmrpipe.drawing.slices import checkered, coloured_png, slices_png
from pmrpipe.drawing.views import views_of
from pmrpipe.images.volume import Grid

GRID = Grid((20, 24, 22), np.diag([4.0, 4.0, 4.0, 1.0]))


def brain() -> np.ndarray:
    image = np.zeros(GRID.shape, np.float32)
    image[4:16, 4:20, 4:18] = 0.5
    return image


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def test_slices_stand_below_each_other_and_white_is_the_given_top() -> None:
    image = brain()
    png, size = slices_png(views_of((image, image, image), GRID, None), 0.5)
    drawn = pixels(png)
    assert (drawn.shape[1], drawn.shape[0]) == size
    assert drawn.max() > 240
    assert drawn.min() == 0
    half, _ = slices_png(views_of((image, image, image), GRID, None), 1.0)
    assert abs(pixels(half).max() - 128) < 10


def test_growth_is_violet_shrinkage_orange_and_nothing_grey() -> None:
    image = brain()
    views = views_of((image, image, image), GRID, None)
    for sign, more, less in ((1, 2, 0), (-1, 0, 2), (0, 0, 0)):
        values = [sign * 5.0 * (view.moving > 0) for view in views]
        drawn = pixels(coloured_png(views, values, 5.0))
        middle = drawn[40, drawn.shape[1] // 2]
        assert (middle[more] - middle[less]) * abs(sign) >= 20 * abs(sign)
        assert sign or np.ptp(middle) < 10


def test_of_neighbouring_cubes_one_is_of_each_image() -> None:
    board = checkered(np.zeros((4, 4, 4)), np.ones((4, 4, 4)), (2, 2, 2))
    assert board[:, :, 0].tolist() == [[0, 0, 1, 1]] * 2 + [[1, 1, 0, 0]] * 2
    assert np.array_equal(board[:, :, 2], 1 - board[:, :, 0])
