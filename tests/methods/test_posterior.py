"""The spread of a posterior: closed forms, determinism, and which methods have one."""

import math

import numpy as np
import pytest
import torch

from pmrpipe.images.volume import Grid
from pmrpipe.losses.likelihood import Likelihood
from pmrpipe.methods.load import build
from pmrpipe.methods.pmr import PMR
from pmrpipe.methods.posterior import Posterior
from pmrpipe.methods.protocols import Layered, Probabilistic
from pmrpipe.methods.spec import names, spec
from pmrpipe.networks.multilayer import MultilayerNetwork
from tests.helpers.parts import FLOW, grid_of, pmr_authors, voxelmorph

LEARNED = [name for name in names() if spec(name).learned]
PROBABILISTIC = [name for name in LEARNED if spec(name).posterior]
GRID = Grid((16, 14, 18), np.diag([2.0, 2.0, 2.0, 1.0]))
# A patch of quicksilver fits into it.
LARGER = Grid((18, 16, 20), GRID.affine)


def images(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    noise = torch.rand(2, 1, *shape, generator=torch.Generator().manual_seed(0))
    moving, fixed = torch.nn.functional.avg_pool3d(noise, 3, 1, 1).split(1)
    return moving, fixed


class Said(torch.nn.Module):
    """A network that always says N(0, sigma^2), on the half-resolution grid."""

    def __init__(self, sigma: float, shape: tuple[int, ...]):
        super().__init__()
        mean = torch.zeros(1, 3, *(n // 2 for n in shape))
        self.said = mean, torch.full_like(mean, 2 * math.log(sigma))

    def forward(self, moving, fixed):
        return self.said


def test_the_deviation_is_that_of_the_draws_in_mm():
    draws = [
        torch.randn(1, 3, 4, 5, 6, generator=torch.Generator().manual_seed(n)) for n in (1, 2, 3)
    ]
    grid = Grid((4, 5, 6), np.diag([1.0, 2.0, 3.0, 1.0]))
    drawn = iter(draws)
    deviation = Posterior(lambda _: next(drawn), grid).deviation(3, seed=0)
    spacing = torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1, 1)
    expected = (torch.cat(draws) * spacing).var(0).sum(0).sqrt()
    assert torch.allclose(deviation, expected, atol=1e-6)


def test_equal_draws_have_no_deviation_and_one_has_none():
    same = Posterior(lambda _: torch.full((1, 3, 4, 4, 4), 1e3), Grid((4, 4, 4), np.eye(4)))
    assert torch.equal(same.deviation(5, seed=0), torch.zeros(4, 4, 4))
    with pytest.raises(ValueError, match="two samples"):
        same.deviation(1, seed=0)


def test_a_small_independent_velocity_spreads_by_its_interpolation():
    """Each voxel mixes two neighbours per axis by 3/4 and 1/4, and a latent's voxel is two."""
    sigma = 0.01
    method = voxelmorph()
    method.network = Said(sigma, GRID.shape)
    deviation = method.posterior(*images(*GRID.shape), GRID).deviation(200, seed=1)
    inside = deviation[2:-2, 2:-2, 2:-2].square().mean().sqrt()
    expected = math.sqrt(3) * sigma * 2 * GRID.spacing[0] * (0.75**2 + 0.25**2) ** 1.5
    assert inside.item() == pytest.approx(expected, rel=0.03)


# The variance of quicksilver is that of its dropout.
@pytest.mark.parametrize("name", [n for n in PROBABILISTIC if n != "quicksilver-prob"])
def test_hardly_any_variance_hardly_any_deviation(name):
    method = build(spec(name), network_mm=2.0).eval()
    with torch.no_grad():
        for parameter_name, parameter in method.named_parameters():
            if parameter_name.endswith("log_variance.bias"):
                parameter.fill_(-30.0)
    deviation = method.posterior(*images(*GRID.shape), GRID).deviation(3, seed=1)
    assert deviation.shape == GRID.shape
    assert 0 < deviation.max() < 1e-4


@pytest.mark.parametrize("name", PROBABILISTIC)
def test_the_seed_alone_decides(name):
    method = build(spec(name), network_mm=2.0).eval()
    posterior = method.posterior(*images(*LARGER.shape), LARGER)
    first, other = posterior.deviation(3, seed=1), posterior.deviation(3, seed=2)
    torch.rand(5)
    assert torch.equal(first, posterior.deviation(3, seed=1))
    assert not torch.equal(first, other)


@pytest.mark.parametrize("name", LEARNED)
def test_a_methods_yaml_says_what_its_class_can(name):
    method = build(spec(name))
    assert spec(name).posterior is isinstance(method, Probabilistic)
    moving, fixed = images(16, 16, 16)
    layered = isinstance(method, Layered)
    levels = method.contributions(moving, fixed, grid_of(fixed)) if layered else []
    assert spec(name).levels is (len(levels) > 1)


@pytest.mark.parametrize("name", sorted({*names()} - {*LEARNED}))
def test_a_classical_methods_yaml_says_whether_it_has_a_posterior(name):
    assert spec(name).posterior is isinstance(build(spec(name)), Probabilistic)


def test_levels_of_the_authors_network_add_up_for_small_velocities():
    torch.manual_seed(0)
    method = pmr_authors().eval()
    moving, fixed = images(16, 24, 16)
    with torch.no_grad():
        for name, parameter in method.network.named_parameters():
            if name.endswith("mean.weight"):
                parameter.mul_(1e3)
        whole = method.deform(moving, fixed, grid_of(fixed)).displacement
        parts = [p.displacement for p in method.contributions(moving, fixed, grid_of(fixed))]
    assert len(parts) == 4
    assert whole.abs().max() > 1e-3
    assert torch.allclose(sum(parts), whole, atol=0.05 * whole.abs().max().item())


def test_a_network_that_is_not_probabilistic_has_no_posterior():
    network = MultilayerNetwork([4, 4], probabilistic=False)
    with pytest.raises(ValueError, match="log-variances"):
        PMR(network, Likelihood(), Likelihood(), FLOW)
    assert not isinstance(build(spec("pmr-concat")), Probabilistic)
    assert not isinstance(build(spec("affine")), Probabilistic | Layered)
