"""Resampled images: how counts are drawn, and what spreads that comes of them."""

from functools import partial

import numpy as np
import pytest
import torch

from pmrpipe.images.volume import Grid
from pmrpipe.methods.across import across
from pmrpipe.methods.bootstrap import Bootstrapped, drawn_counts
from pmrpipe.methods.classical import AffineOnly
from pmrpipe.methods.lesions import Lesions
from pmrpipe.methods.load import build
from pmrpipe.methods.protocols import Probabilistic
from pmrpipe.methods.refine import UNCERTAINTY_FACTOR, Greedy, Refined, Refinement, refine
from pmrpipe.methods.spec import spec
from pmrpipe.spatial.integrate import integrate
from pmrpipe.spatial.smooth import smoothed
from pmrpipe.spatial.warp import warp
from pmrpipe.stages.register.uncertainty import deviation_map, factor_of
from tests.helpers.parts import smooth_noise

GRID = Grid((48, 40, 32), np.eye(4))
PLAN = Refinement(steps=20, mm=(2.0, 1.0))
METHOD = Refined(AffineOnly(), PLAN)


noise = partial(smooth_noise, GRID.shape)


@pytest.fixture(scope="module")
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    """A textured image and its warp."""
    moving = 0.5 + 0.5 * noise(1, 0, 1.5)
    return moving, warp(moving, integrate(25 * noise(3, 1, 5.0)), padding="border")


def test_counts_are_poisson_s_of_mean_one_in_blocks_of_eight_millimetres():
    grid = Grid((100, 96, 104), np.diag([2.0, 2.0, 1.0, 1.0]))
    counts = drawn_counts(grid, torch.Generator().manual_seed(0))
    assert counts.shape == (1, 1, 25, 24, 13)
    assert torch.equal(counts, counts.round())
    assert counts.mean() == pytest.approx(1, abs=0.05)
    assert counts.var() == pytest.approx(1, abs=0.07)
    assert (counts == 0).float().mean() == pytest.approx(np.exp(-1), abs=0.03)
    again, other = (drawn_counts(grid, torch.Generator().manual_seed(n)) for n in (0, 1))
    assert torch.equal(counts, again)
    assert not torch.equal(counts, other)
    assert drawn_counts(Grid((2, 2, 2), np.eye(4)), torch.Generator()).shape == (1, 1, 1, 1, 1)


def test_where_all_count_once_nothing_is_changed(pair):
    start = AffineOnly().register(*pair, GRID)
    plain = refine(*pair, GRID, start, PLAN)
    once = refine(*pair, GRID, start, PLAN, counts=torch.ones(1, 1, 6, 5, 4))
    assert torch.equal(plain.displacement, once.displacement)


def test_a_draw_is_a_registration_and_the_seed_alone_decides(pair):
    posterior = METHOD.posterior(*pair, GRID)
    field = METHOD.register(*pair, GRID).resampled(posterior.grid).displacement
    drawn = posterior.draw(torch.Generator().manual_seed(0))
    assert drawn.shape == field.shape
    assert 0.001 < (drawn - field).abs().mean() < 0.5 * field.abs().mean()
    first = posterior.deviation(3, seed=1)
    torch.rand(5)
    assert torch.equal(first, posterior.deviation(3, seed=1))


def test_what_a_lesion_hides_is_no_reason_to_move(pair):
    """A bright ball in the moving image alone; the same without it, and it without its mask."""
    moving, fixed = pair
    mask = torch.zeros(1, 1, *GRID.shape)
    mask[..., 20:28, 16:24, 12:20] = 1
    lesion = torch.where(mask > 0, torch.ones(()), moving)
    maps = [
        deviation_map(METHOD, images, GRID, 4, 0, lesions=lesions)
        for images, lesions in (
            (pair, None),
            ((lesion, fixed), Lesions(mask)),
            ((lesion, fixed), None),
        )
    ]
    near = smoothed(mask, 3.0)[0, 0].numpy() > 0.05
    plain, masked, bare = (float(one[near].mean()) for one in maps)
    assert abs(masked - plain) < 0.5 * abs(bare - plain)


def test_equal_images_leave_nothing_open(pair):
    assert METHOD.posterior(pair[0], pair[0], GRID).deviation(3, seed=0).max() < 1e-3


def test_noise_leaves_more_open(pair):
    """In one half of the fixed image; the other is as it was."""
    moving, fixed = pair
    noisy = fixed + 0.6 * noise(1, 5, 0.7)
    noisy[:, :, :24] = fixed[:, :, :24]
    deviation = METHOD.posterior(moving, noisy, GRID).deviation(6, seed=0)
    clean, other = deviation[1:5, 2:-2, 2:-2].mean(), deviation[7:11, 2:-2, 2:-2].mean()
    assert other > 2 * clean


def test_the_factor_is_the_optimisation_s_and_not_the_network_s():
    network = build(spec("pmr-plus"))
    refined = Refined(network, PLAN)
    assert factor_of(refined, spec("pmr-plus")) == UNCERTAINTY_FACTOR
    assert factor_of(network, spec("pmr-plus")) == spec("pmr-plus").uncertainty_factor
    assert factor_of(Greedy(), spec("greedy")) == UNCERTAINTY_FACTOR
    own = build(spec("quicksilver")).refined(20, 2.0)
    assert not isinstance(own, Probabilistic | Bootstrapped)


def test_two_contrasts_are_compared_as_where_they_are_registered(pair):
    images = 1 - pair[0], pair[1]
    crossed = across(METHOD).posterior(*images, GRID).deviation(3, seed=0)
    written = deviation_map(METHOD, images, GRID, 3, 0, alike=False)
    assert written.shape == GRID.shape
    assert written.mean() == pytest.approx(float(crossed.mean()), rel=0.05)
    alike = deviation_map(METHOD, images, GRID, 3, 0)
    assert not np.allclose(written, alike, rtol=0.1)
