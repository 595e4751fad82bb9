import numpy as np
import pytest

from pmrpipe.metrics.similarity import ncc


def test_equals_pearson_inside_the_mask():
    rng = np.random.default_rng(0)
    first, mask = rng.random((6, 7, 8)), rng.random((6, 7, 8)) > 0.4
    second = first + 0.3 * rng.random((6, 7, 8))
    assert ncc(first, second, mask) == pytest.approx(np.corrcoef(first[mask], second[mask])[0, 1])


def test_does_not_see_scale_and_offset():
    image = np.random.default_rng(0).random((5, 5, 5))
    assert ncc(image, 3 - 2 * image) == pytest.approx(-1)


def test_constant_image_or_empty_mask_has_none():
    image = np.random.default_rng(0).random((5, 5, 5)).astype(np.float32)
    assert np.isnan(ncc(image, np.full_like(image, 0.3)))
    assert np.isnan(ncc(image, image, np.zeros(image.shape, bool)))
