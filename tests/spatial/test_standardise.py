"""Intensities without their scale."""

import pytest
import torch

from pmrpipe.spatial.standardise import locally_standardised


def test_local_standardisation_takes_contrast_and_bias_away():
    image = torch.rand(1, 1, 24, 24, 24)
    bias = torch.linspace(0.5, 0.6, 24).view(1, 1, 24, 1, 1)
    plain = locally_standardised(image, 5, floor=0.0)
    changed = locally_standardised(0.3 * image + bias, 5, floor=0.0)
    inner = (..., *[slice(2, -2)] * 3)
    assert torch.allclose(plain[inner], changed[inner], atol=0.15)
    cube = image[0, 0, 3:8, 4:9, 5:10]
    expected = (image[0, 0, 5, 6, 7] - cube.mean()) / cube.std(unbiased=False)
    assert plain[0, 0, 5, 6, 7] == pytest.approx(float(expected), rel=1e-3)
    assert locally_standardised(torch.full((1, 1, 9, 9, 9), 0.4), 3)[0, 0, 4, 4, 4].abs() < 1e-3


def test_a_side_shorter_than_the_window_is_as_if_zeros_lay_beyond():
    image = torch.rand(1, 1, 12, 12, 3, generator=torch.Generator().manual_seed(0))
    wide = locally_standardised(torch.nn.functional.pad(image, [4, 4]), 5)
    assert torch.allclose(locally_standardised(image, 5), wide[..., 4:-4], atol=1e-5)
