"""PMR: Eq. 5, how latents are combined, and what keeps features alive."""

import math

import numpy as np
import pytest
import torch

from pmrpipe.images.volume import Grid
from pmrpipe.losses.variational import kullback_leibler
from pmrpipe.methods.pmr import PMR
from pmrpipe.networks.multilayer import Level
from tests.helpers.parts import batch, grid_of, pmr, velocity_alone

SMALL = {"channels": [4, 6, 6, 6], "head": 4}
WEIGHTS = (1.0, 0.5, 0.25, 2.0)


def blobs(seed: int, shape: tuple[int, int, int] = (24, 20, 28)) -> torch.Tensor:
    """A smooth image in [0, 1] with a border of zeros."""
    noise = torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(seed))
    for _ in range(3):
        noise = torch.nn.functional.avg_pool3d(noise, 3, 1, 1)
    inside = torch.zeros_like(noise)
    inside[..., 3:-3, 3:-3, 3:-3] = 1
    return inside * (noise - noise.min()) / (noise.max() - noise.min())


@pytest.fixture
def small() -> PMR:
    torch.manual_seed(0)
    return pmr(SMALL, level_weights=WEIGHTS, feature={"standardise": True, "sigma": 0.5})


@pytest.mark.parametrize("shape", [(24, 20, 28), (17, 9, 30)])
def test_an_untrained_network_leaves_things_where_they_are(small, shape):
    moving, fixed = blobs(1, shape), blobs(2, shape)
    deformation = small.deform(moving, fixed, grid_of(fixed))
    displacement, velocity = deformation.displacement, deformation.parametrisation.velocity
    assert displacement.shape == velocity.shape == (1, 3, *shape)
    assert displacement.abs().max() < 1e-2


def test_total_is_equation_5(small):
    terms = small.objective(batch(blobs(1), blobs(2)))
    expected = terms["image"] + terms["image_kl"]
    for level, weight in enumerate(WEIGHTS, 1):
        expected = expected + weight * (terms[f"feature_{level}"] + terms[f"feature_kl_{level}"])
        assert terms[f"feature_norm_{level}"] > 0
    assert torch.isclose(terms["total"], expected)


def test_level_terms_are_equation_6_of_the_level(small):
    moving, fixed = blobs(1), blobs(2)
    terms = small.objective(batch(moving, fixed))
    for number, level in enumerate(small.network(moving, fixed), 1):
        divergence = kullback_leibler(level.mean, level.log_variance, small.prior, small.factors)
        assert torch.isclose(terms[f"feature_kl_{number}"], sum(divergence.values()))


def test_latents_are_brought_to_the_finest_grid_and_added(small):
    """Level l counts in voxels 2^(l-1) times as long."""
    latents = [torch.ones(1, 3, *[16 // 2**n] * 3) for n in range(4)]
    assert torch.allclose(small.combine(latents), torch.tensor(1.0 + 2 + 4 + 8))
    small.rescale = False
    assert torch.allclose(small.combine(latents), torch.tensor(4.0))


def test_variances_of_the_sum_add(small):
    zeros = [torch.zeros(1, 3, *[16 // 2**n] * 3) for n in range(4)]
    levels = [Level(z, z - 2.0, z, z) for z in zeros]
    expected = -2.0 + math.log(1 + 4 + 16 + 64)
    assert torch.allclose(small._log_variance(levels), torch.tensor(expected))


def test_training_samples_and_inference_takes_the_mean(small):
    moving, fixed = blobs(1), blobs(2)
    with torch.no_grad():
        for head in small.network.heads:
            head.log_variance.bias.fill_(-2.0)
    torch.manual_seed(1)
    first = small.objective(batch(moving, fixed))["total"]
    assert not torch.equal(first, small.objective(batch(moving, fixed))["total"])
    torch.manual_seed(1)
    assert torch.equal(first, small.objective(batch(moving, fixed))["total"])
    once, again = (small.deform(moving, fixed, grid_of(fixed)).displacement for _ in range(2))
    assert torch.equal(once, again)


def test_contributions_of_the_levels_add_up_for_small_velocities(small):
    with torch.no_grad():
        for head in small.network.heads:
            head.mean.weight.mul_(100)
    moving, fixed = blobs(1), blobs(2)
    parts = [p.displacement for p in small.contributions(moving, fixed, grid_of(fixed))]
    whole = small.deform(moving, fixed, grid_of(fixed)).displacement
    assert len(parts) == 4
    assert torch.allclose(sum(parts), whole, atol=0.05 * whole.abs().max().item())


def test_register_works_at_the_networks_voxel_size():
    method = pmr(SMALL, network_mm=2.0)
    deformation = method.register(blobs(1), blobs(2), Grid((24, 20, 28), np.eye(4)))
    assert deformation.grid.shape == (12, 10, 14)
    assert deformation.displacement.shape == (1, 3, 12, 10, 14)
    assert deformation.inverse().displacement.shape == (1, 3, 12, 10, 14)


def feature_norms(standardise: bool, steps: int = 60) -> tuple[float, float]:
    """Size of all features before and after minimising the feature term of Eq. 5 alone."""
    torch.manual_seed(0)
    method = pmr(SMALL, feature={"standardise": standardise, "sigma": 0.1})
    optimiser = torch.optim.Adam(method.parameters(), lr=1e-2)
    sizes = []
    for _ in range(steps):
        terms = method.objective(batch(blobs(1), blobs(2)))
        sizes.append(sum(float(terms[f"feature_norm_{level}"]) for level in range(1, 5)))
        optimiser.zero_grad()
        sum(terms[f"feature_{level}"] for level in range(1, 5)).backward()
        optimiser.step()
    return sizes[0], sizes[-1]


@pytest.mark.slow
def test_features_collapse_unless_they_are_standardised():
    """The plain squared difference of features has its minimum at features = 0."""
    before, after = feature_norms(standardise=False)
    assert after < 0.3 * before
    before, after = feature_norms(standardise=True)
    assert after > 0.7 * before


def baseline(heads: list[int]) -> PMR:
    torch.manual_seed(0)
    return pmr(SMALL | {"heads": heads}, {"standardise": True})


def test_baseline_1_is_not_probabilistic():
    """No sampling, no feature term; of Eq. 6 the image and the smoothness of the velocity."""
    torch.manual_seed(0)
    method, (moving, fixed) = velocity_alone(SMALL), (blobs(1), blobs(2))
    assert not any("log_variance" in name for name, _ in method.named_parameters())
    with torch.no_grad():
        for head in method.network.heads:
            head.mean.weight.mul_(1e3)
    first, second = (method.objective(batch(moving, fixed)) for _ in range(2))
    assert torch.equal(first["total"], second["total"])
    assert not any(name.startswith("feature_kl") for name in first)
    velocity = method.deform(moving, fixed, grid_of(fixed)).parametrisation.velocity
    mean = method.combine([level.mean for level in method.network(moving, fixed)])
    rough = sum((mean.diff(dim=axis) ** 2).mean() for axis in (2, 3, 4))
    assert torch.isclose(first["image_kl"], 0.25 * method.prior * rough)
    assert torch.isclose(first["total"], first["image"] + first["image_kl"])
    assert velocity.abs().max() > 0


def test_baseline_2_sees_the_last_level_alone():
    method, (moving, fixed) = baseline(heads=[4]), (blobs(1), blobs(2))
    (level,) = method.network(moving, fixed)
    assert level.mean.shape[2:] == (2, 2, 2)
    assert method.combine([level.mean]).shape[2:] == (16, 16, 16)
    terms = method.objective(batch(moving, fixed))
    assert "feature_4" in terms
    assert "feature_1" not in terms
    displacement = method.deform(moving, fixed, grid_of(fixed)).displacement
    assert displacement.shape[2:] == moving.shape[2:]
    assert len(method.contributions(moving, fixed, grid_of(fixed))) == 1
