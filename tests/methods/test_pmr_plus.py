"""pmr-plus: symmetric by construction, and its levels add up."""

from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch

from pmrpipe.base.errors import InputError
from pmrpipe.images.volume import Grid
from pmrpipe.losses.similarity import local_correlation
from pmrpipe.methods.pmr_plus import PMRPlus, _force
from pmrpipe.methods.refine import Refined, Refinement
from pmrpipe.methods.spec import spec
from pmrpipe.methods.weights import load_weights, save_weights
from pmrpipe.networks.pyramid import Pyramid, SymmetricHead, neighbour_correlation
from pmrpipe.spatial.integrate import compose, integrate
from pmrpipe.spatial.resize import resize_displacement
from pmrpipe.spatial.warp import warp
from tests.helpers.parts import batch, pmr_plus

GRID = Grid((29, 34, 27), np.eye(4))
SMALL = {"channels": [4, 8, 8], "heads": [4, 8, 8], "reach": [0, 1, 1], "finest": 0}


def method(passes=(), **network) -> PMRPlus:
    """With flows of a voxel or so, smaller on finer levels, as after a training."""
    torch.manual_seed(0)
    own = "own" in network
    made = pmr_plus(SMALL | network, prior=[10.0] * (3 + own), passes=passes)
    deviations = (0.03, 0.01, 0.001, 0.001)
    for head, deviation in zip(reversed(made.network.levels), deviations, strict=False):
        torch.nn.init.normal_(head.mean.weight, std=deviation)
    return made.eval()


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    noise = torch.rand(2, 1, *GRID.shape, generator=torch.Generator().manual_seed(1))
    smooth = torch.nn.functional.avg_pool3d(noise, 5, 1, 2)
    return smooth[:1], smooth[1:]


# A network of the usual levels, one with a level of the image's own size before them, and one
# whose levels are used several times.
NETWORKS = [
    {"finest": 0},
    {"finest": 1},
    {"finest": 1, "own": 4},
    {"finest": 1, "own": 4, "passes": [2, 1, 3, 2]},
]


@pytest.mark.parametrize("network", NETWORKS)
def test_exchanging_the_images_inverts_the_result(pair, network):
    made = method(**network)
    one, other = (made.register(*images, GRID) for images in (pair, pair[::-1]))
    assert one.displacement.shape == (1, 3, *GRID.shape)
    assert one.displacement.abs().max() > 0.3
    assert torch.allclose(one.inverse().displacement, other.displacement, atol=1e-5)
    assert torch.allclose(one.displacement, other.inverse().displacement, atol=1e-5)


def test_minus_the_velocities_give_the_inverse(pair):
    """Velocities as smooth as a prior leaves them; a network of random weights has none such."""
    shapes, generator = ((8, 9, 7), (16, 18, 14), (32, 36, 28)), torch.Generator().manual_seed(0)
    velocities = [
        resize_displacement(torch.randn(1, 3, 4, 4, 4, generator=generator), shape, rescale=False)
        for shape in shapes
    ]
    made = method()
    there, back = (made.whole([s * v for v in velocities], pair[0]) for s in (0.25, -0.25))
    missed = compose(back, there)[..., 6:-6, 6:-6, 6:-6]
    assert there.abs().max() > 2
    assert missed.square().sum(1).sqrt().mean() < 0.03


@pytest.mark.parametrize("network", NETWORKS)
def test_equal_images_stay_where_they_are(pair, network):
    deformation = method(**network).register(pair[0], pair[0], GRID)
    assert deformation.displacement.abs().max() < 1e-5


def test_one_level_alone_is_its_exponential(pair):
    made = method()
    mean = made.steps(*pair)[1].mean
    zero = [torch.zeros_like(step.mean) for step in made.steps(*pair)]
    alone = made.whole([zero[0], mean, zero[2]], pair[0])
    expected = integrate(resize_displacement(mean, zero[2].shape[2:]))[..., :29, :34, :27]
    assert (alone - expected).abs().mean() < 0.05 * expected.abs().mean()
    parts = made.contributions(*pair, GRID)
    assert len(parts) == 3
    assert torch.allclose(parts[1].displacement, alone, atol=1e-6)


def test_each_pass_adds_what_the_passes_before_it_left(pair):
    made = method(finest=1, passes=[1, 2, 1])
    first, second = made.steps(*pair)[1:3]
    assert [step.level for step in made.steps(*pair)] == [2, 1, 1, 0]
    aligned = warp(first.features, first.halfway).chunk(2)
    assert torch.equal(second.mean, made.network.levels[1](*aligned)[0])
    added = torch.cat([second.velocity, -second.velocity]) / 2
    added = integrate(added, made.squarings, midpoint=True)
    assert torch.equal(second.halfway, compose(added, first.halfway))


def test_what_a_level_contributes_is_of_all_its_passes(pair):
    made = method(finest=1, passes=[1, 2, 1])
    velocities = [step.mean for step in made.steps(*pair)]
    for n in (0, 3):
        velocities[n] = torch.zeros_like(velocities[n])
    parts = made.contributions(*pair, GRID)
    assert len(parts) == 3
    assert torch.allclose(parts[1].displacement, made.whole(velocities, pair[0]), atol=1e-6)


@pytest.mark.parametrize("network", NETWORKS)
def test_an_optimisation_begins_without_the_level_of_the_images_own_size(pair, network):
    made = method(**network)
    steps = [step for step in made.steps(*pair) if step.level or made.network.own is None]
    start = made.start(*pair, GRID)
    whole = made.whole([step.mean for step in steps], pair[0])
    assert torch.equal(start.displacement, whole)
    assert (made.network.own is None) == torch.equal(whole, made.register(*pair, GRID).displacement)
    with patch("pmrpipe.methods.refine.refine") as refined:
        Refined(made, Refinement(steps=2)).register(*pair, GRID)
        assert torch.equal(refined.call_args.args[3].displacement, whole)
        Refined(made, Refinement(steps=0)).register(*pair, GRID)
        answer = made.register(*pair, GRID).displacement
        assert torch.equal(refined.call_args.args[3].displacement, answer)


def test_head_is_antisymmetric_and_its_variance_symmetric():
    torch.manual_seed(0)
    head = SymmetricHead(6, 8, reach=1)
    torch.nn.init.normal_(head.log_variance.weight, std=0.1)
    torch.nn.init.normal_(head.mean.weight, std=0.1)
    one, other = torch.randn(2, 1, 6, 7, 5, 6)
    (mean, variance), (back, again) = head(one, other), head(other, one)
    assert mean.abs().max() > 0.01
    assert torch.allclose(mean, -back, atol=1e-6)
    assert torch.allclose(variance, again, atol=1e-6)


def test_correlation_of_neighbours_by_hand():
    one, other = torch.randn(2, 1, 4, 5, 6, 7, generator=torch.Generator().manual_seed(0))
    correlation = neighbour_correlation(one, other, 1)
    assert correlation.shape == (1, 27, 5, 6, 7)
    # Offset (1, 0, -1) is number 2 * 9 + 1 * 3 + 0.
    expected = (one[0, :, 2, 3, 4] * other[0, :, 3, 3, 3]).mean()
    assert torch.allclose(correlation[0, 21, 2, 3, 4], expected)
    assert correlation[0, 0, 0, 0, 0] == 0


def test_pyramid_halves_without_a_shift():
    """A mirrored image has mirrored features, but for the kernels: sizes and centres agree."""
    features = Pyramid([4, 8, 8])(torch.rand(1, 1, 16, 24, 8))
    assert [tuple(f.shape[1:]) for f in features] == [(4, 16, 24, 8), (8, 8, 12, 4), (8, 4, 6, 2)]
    layer = Pyramid([4, 8]).next[0][0][0]
    assert layer.kernel_size == (2, 2, 2)
    assert layer.padding == (0, 0, 0)


def test_the_finest_head_sees_a_force_that_draws_the_images_together(pair):
    """A step along it makes the images more alike half-way; hardly a matter of their scale."""
    images, nowhere = torch.cat(pair), torch.zeros(2, 3, *GRID.shape)
    force = _force(images, nowhere)
    assert force.square().sum(1).mean() == pytest.approx(1)
    assert (_force(0.5 * images, nowhere) - force).abs().mean() < 0.02
    alike = [
        local_correlation(*warp(images, step * torch.cat([force, -force])).chunk(2), 5)
        for step in (-0.05, 0, 0.05)
    ]
    assert alike[0] < alike[1] < alike[2]
    assert _force(torch.cat([pair[0], pair[0]]), nowhere).abs().max() < 1e-5


def test_a_network_that_grows_begins_where_the_smaller_one_was(pair, tmp_path):
    smaller, grown = method(finest=1), method(finest=1, own=4)
    save_weights(smaller, tmp_path)
    (tmp_path / "model.json").write_text("{}")
    first = grown.network.own.mean.weight.clone()
    load_weights(grown, spec("pmr-plus"), tmp_path, to_begin=True)
    assert torch.equal(grown.network.own.mean.weight, first)
    torch.nn.init.zeros_(grown.network.own.mean.weight)
    steps = [made.steps(*pair) for made in (smaller, grown)]
    assert torch.equal(steps[0][-1].halfway, steps[1][-2].halfway)
    with pytest.raises(InputError, match="does not fit the network"):
        load_weights(smaller, spec("pmr-plus"), _saved(grown, tmp_path / "grown"), to_begin=True)


def _saved(made: PMRPlus, folder: Path) -> Path:
    folder.mkdir()
    save_weights(made, folder)
    (folder / "model.json").write_text("{}")
    return folder


@pytest.mark.parametrize("network", NETWORKS[1:])
def test_objective_reaches_every_parameter(pair, network):
    made = method(**network).train()
    terms = made.objective(batch(*pair))
    levels = range(1 if "own" in network else 2, 5)
    assert {"image", "total", "feature_2", "kl_2", "feature_4", "kl_4"} <= set(terms)
    terms["total"].backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    assert float(terms["total"].detach()) == pytest.approx(
        float(
            (
                terms["image"] + sum(terms[f"kl_{n}"] + 0.1 * terms[f"feature_{n}"] for n in levels)
            ).detach()
        )
    )


def test_draws_repeat_with_their_seed_and_spread(pair):
    made = method()
    for head in made.network.heads:
        torch.nn.init.constant_(head.log_variance.bias, -2.0)
    with torch.no_grad():
        draw = made.sampler(*pair)
        first, again, other = (draw(torch.Generator().manual_seed(n)) for n in (0, 0, 1))
    assert torch.equal(first, again)
    assert (first - other).abs().mean() > 0.05
    deviation = made.posterior(*pair, GRID).deviation(4, 0)
    assert (deviation > 0).all()


def test_as_many_priors_as_heads():
    with pytest.raises(ValueError, match="2 priors for 3 heads"):
        pmr_plus(SMALL, prior=[1.0, 1.0])


@pytest.mark.parametrize("passes", [[1, 2], [1, 1, 0]])
def test_every_head_has_its_passes(passes):
    with pytest.raises(ValueError, match="for 3 heads"):
        pmr_plus(SMALL, prior=[1.0] * 3, passes=passes)
