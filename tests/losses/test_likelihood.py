"""Likelihoods of images and features."""

import pytest
import torch

from pmrpipe.losses.likelihood import Likelihood
from pmrpipe.losses.variational import FACTORS
from pmrpipe.spatial.standardise import standardised
from pmrpipe.spatial.warp import warp


def blobs(seed: int) -> torch.Tensor:
    """A smooth image in [0, 1] with a border of zeros."""
    noise = torch.rand(1, 1, 24, 20, 28, generator=torch.Generator().manual_seed(seed))
    for _ in range(3):
        noise = torch.nn.functional.avg_pool3d(noise, 3, 1, 1)
    inside = torch.zeros_like(noise)
    inside[..., 3:-3, 3:-3, 3:-3] = 1
    return inside * (noise - noise.min()) / (noise.max() - noise.min())


@pytest.mark.parametrize("similarity", ["mse", "cc"])
def test_a_perfect_match_is_the_least(similarity):
    term = Likelihood(similarity, sigma=0.1, window=5)
    fixed = blobs(1)
    shift = torch.zeros(1, 3, *fixed.shape[2:])
    shift[:, 0] = 1.0
    assert term(fixed, fixed) < term(fixed, warp(fixed, shift))


@pytest.mark.parametrize("similarity", ["mse", "cc"])
def test_exact_likelihood_is_a_sum_over_voxels(similarity):
    """Twice the volume weighs twice as much, as the divergence that stands beside it does."""
    term = Likelihood(similarity, sigma=0.1, window=3, factors="exact")
    fixed, warped = blobs(1), blobs(2)
    one, two = term(fixed, warped), term(*(torch.cat([i, i], 2) for i in (fixed, warped)))
    assert float(two / one) == pytest.approx(2.0, rel=0.05)
    assert not FACTORS["exact"].mean


def test_standardised_features_do_not_show_their_scale():
    features = torch.randn(1, 4, 6, 6, 6, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(standardised(features), standardised(1e-3 * features + 5), atol=1e-3)
