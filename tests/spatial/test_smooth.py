"""Gaussian smoothing, against scipy's."""

import pytest
import torch
from scipy.ndimage import gaussian_filter

from pmrpipe.spatial.smooth import smoothed


@pytest.mark.parametrize("deviation", [0.5, 1.0, 2.0])
def test_it_is_scipys(deviation):
    field = torch.randn(2, 3, 9, 12, 8, generator=torch.Generator().manual_seed(0))
    smooth = smoothed(field, deviation)
    for batch in range(2):
        for channel in range(3):
            part = field[batch, channel].double().numpy()
            radius = int(-(-3 * deviation // 1))
            expected = gaussian_filter(part, deviation, mode="nearest", radius=radius)
            assert torch.allclose(
                smooth[batch, channel].double(), torch.from_numpy(expected), atol=1e-5
            )


def test_constants_stay_and_no_deviation_is_no_smoothing():
    field = torch.full((1, 1, 4, 5, 6), 3.0)
    assert torch.allclose(smoothed(field, 1.3), field)
    assert smoothed(field, 0.0) is field
