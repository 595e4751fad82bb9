"""The signed local correlation of GradICON, against scipy's filters in float64."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from pmrpipe.losses.similarity import GaussianCorrelation, gaussian_correlation

SHAPE = (14, 25, 18)


def images() -> torch.Tensor:
    return torch.rand(2, 1, 1, *SHAPE, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("sigma", [2.0, 4.0, 5.0])
def test_it_is_what_scipy_says(sigma):
    fixed, warped = (x[0, 0].double().numpy() for x in images())

    def mean(values: np.ndarray) -> np.ndarray:
        return gaussian_filter(values, sigma, mode="constant", truncate=2.0)

    f, w = mean(fixed), mean(warped)
    cross = mean(fixed * warped) - f * w
    variances = (mean(fixed**2) - f**2 + 1e-5) * (mean(warped**2) - w**2 + 1e-5)
    value = gaussian_correlation(*images(), sigma)[0, 0].numpy()
    assert np.abs(value - cross / np.sqrt(variances)).max() < 1e-5


def test_contrast_does_not_matter_and_its_sign_does():
    # Far from the faces: beyond them there are zeros, which are not 0.3 brighter.
    image = torch.zeros(1, 1, 32, 32, 32)
    image[..., 8:24, 8:24, 8:24] = torch.rand(16, 16, 16) + 0.5
    middle = slice(14, 18)
    for slope, expected in ((2.0, 1.0), (0.5, 1.0), (-1.0, -1.0)):
        other = slope * image + 0.3
        said = gaussian_correlation(image, other, 2.0)[..., middle, middle, middle]
        assert torch.allclose(said, torch.full_like(said, expected), atol=1e-3)


def test_flat_images_have_the_whole_loss():
    flat = torch.zeros(1, 1, *SHAPE)
    assert float(GaussianCorrelation(3.0)(flat, images()[0])) == 1


def test_half_precision_around_it_does_not_touch_it():
    exact = GaussianCorrelation(3.0)(*images())
    with torch.autocast("cpu", torch.bfloat16):
        again = GaussianCorrelation(3.0)(*(x.bfloat16().float() for x in images()))
    assert float(again) == pytest.approx(float(exact), abs=1e-3)
    assert again.dtype == torch.float32


def test_its_slope_is_that_of_finite_differences():
    fixed, warped = torch.rand(2, 1, 1, 5, 4, 4, generator=torch.Generator().manual_seed(1))
    warped.requires_grad_()
    loss = GaussianCorrelation(1.0)
    loss(fixed, warped).backward()
    change = torch.zeros_like(warped)
    change[..., 2, 1, 2] = 1e-2
    with torch.no_grad():
        slope = (loss(fixed, warped + change) - loss(fixed, warped - change)) / 2e-2
    assert float(warped.grad[..., 2, 1, 2]) == pytest.approx(float(slope), rel=2e-2)
