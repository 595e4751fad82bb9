"""Instance optimisation: it gets closer, never worse, stays diffeomorphic, and repeats."""

import numpy as np
import pytest
import torch

from pmrpipe.images.volume import Grid
from pmrpipe.losses.similarity import local_correlation
from pmrpipe.methods.classical import AffineOnly
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.load import build
from pmrpipe.methods.refine import Greedy, Refined, Refinement, refine, unfolded
from pmrpipe.methods.spec import spec
from pmrpipe.spatial.integrate import compose, integrate
from pmrpipe.spatial.jacobian import jacobian_determinant
from pmrpipe.spatial.resize import resize_image
from pmrpipe.spatial.warp import warp

GRID = Grid((32, 36, 28), np.eye(4))
QUICK = Refinement(steps=30, mm=(2.0, 1.0), elastic=0.7)


def smooth(*shape: int, seed: int, times: int) -> torch.Tensor:
    noise = torch.randn(1, *shape, generator=torch.Generator().manual_seed(seed))
    for _ in range(times):
        noise = torch.nn.functional.avg_pool3d(noise, 5, 1, 2)
    return noise / noise.abs().max()


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A textured image, the same warped by a smooth velocity, and that velocity."""
    image = 0.5 + 0.5 * smooth(1, *GRID.shape, seed=0, times=2)
    velocity = 3 * smooth(3, *GRID.shape, seed=1, times=5)
    return image, warp(image, integrate(velocity), padding="border"), velocity


def similarity(deformation: Deformation, moving: torch.Tensor, fixed: torch.Tensor) -> float:
    return float(local_correlation(fixed, deformation.apply(moving), 5))


def test_it_finds_most_of_a_smooth_warp(pair):
    moving, fixed, _ = pair
    start = AffineOnly().register(moving, fixed, GRID)
    deformation = Refined(AffineOnly(), QUICK).register(moving, fixed, GRID)
    assert similarity(start, moving, fixed) < 0.85
    assert similarity(deformation, moving, fixed) > 0.96
    assert deformation.jacobian().min() > 0
    assert deformation.grid == GRID.rescaled(2.0)
    again = Refined(AffineOnly(), QUICK).register(moving, fixed, GRID)
    assert torch.equal(deformation.displacement, again.displacement)


def test_levels_finer_than_the_images_are_left_out(pair):
    moving, fixed, _ = pair
    start = AffineOnly().register(moving, fixed, GRID)
    plans = [Refinement(steps=3, mm=mm) for mm in ((2.0, 1.0, 0.5), (2.0, 1.0))]
    one, other = (refine(moving, fixed, GRID, start, plan) for plan in plans)
    assert torch.equal(one.displacement, other.displacement)
    coarse = GRID.rescaled(2.0)
    images = [resize_image(image, coarse.shape) for image in (moving, fixed)]
    start = AffineOnly().register(*images, coarse)
    assert refine(*images, coarse, start, Refinement(steps=3, mm=(1.0,))).grid == GRID.rescaled(4.0)


def test_how_fine_it_goes_and_in_how_many_steps():
    plan = Refinement(steps=10)
    assert plan.down_to(2).mm == (8.0, 4.0, 2.0)
    assert plan.down_to(1) == plan
    assert plan.down_to(30).mm == (8.0,)
    assert [plan.steps_at(mm) for mm in plan.mm] == [10, 10, 10, 3]


def test_a_start_is_carried_on_and_can_be_inverted(pair):
    moving, fixed, velocity = pair
    start = Deformation(integrate(0.7 * velocity), GRID, 0.7 * velocity)
    refined = refine(moving, fixed, GRID, start, QUICK)
    assert similarity(refined, moving, fixed) > similarity(start, moving, fixed)
    missed = compose(refined.displacement, refined.inverse().displacement)
    # The texture is as fine as the voxels: what is left is interpolation.
    assert missed[..., 4:-4, 4:-4, 4:-4].abs().mean() < 0.02


def test_exchanged_images_invert_the_result(pair):
    moving, fixed, _ = pair
    there = Greedy(steps=10, mm=[2, 1]).register(moving, fixed, GRID)
    back = Greedy(steps=10, mm=[2, 1]).register(fixed, moving, GRID)
    assert there.displacement.abs().max() > 1
    for one, other in ((there, back), (back, there)):
        assert (one.inverse().displacement - other.displacement).abs().max() < 1e-3


def test_the_warp_itself_is_found_where_there_is_texture(pair):
    moving, fixed, velocity = pair
    start = AffineOnly().register(moving, fixed, GRID)
    refined = refine(moving, fixed, GRID, start, QUICK)
    inside = (..., slice(5, -5), slice(5, -5), slice(5, -5))
    truth = integrate(velocity)[inside]
    apart = (refined.resampled(GRID).displacement[inside] - truth).square().sum(1).sqrt().mean()
    assert apart < 0.25 * truth.square().sum(1).sqrt().mean()


def test_it_never_ends_worse_and_says_how_far_it_is(pair):
    """A rate far too high: the start is kept."""
    moving, fixed, velocity = pair
    start = Deformation(integrate(velocity), GRID)
    wild = Refinement(steps=20, mm=(1.0,), rate=20.0)  # a quarter of them below 2 mm
    told = []
    refined = refine(moving, fixed, GRID, start, wild, lambda *step: told.append(step))
    kept = start.resampled(refined.grid).displacement
    assert (refined.displacement - kept)[..., 2:-2, 2:-2, 2:-2].abs().max() < 0.1
    assert told == [(n, 5) for n in range(1, 6)]


def test_no_steps_change_nothing_and_nothing_to_see_is_no_reason_to_move(pair):
    moving, fixed, velocity = pair
    start = Deformation(integrate(0.5 * velocity), GRID)
    for images, steps in (((moving, fixed), 0), ((torch.zeros_like(moving),) * 2, 5)):
        refined = refine(*images, GRID, start, Refinement(steps=steps, mm=(1.0,)))
        kept = start.resampled(refined.grid).displacement
        apart = (refined.displacement - kept)[..., 2:-2, 2:-2, 2:-2].abs().max()
        assert apart < (0.05 if steps else 1e-6)


def test_a_level_ends_where_nothing_is_gained():
    image = 0.5 + 0.5 * smooth(1, *GRID.shape, seed=0, times=2)
    start = AffineOnly().register(image, image, GRID)
    told = []
    refine(image, image, GRID, start, QUICK, lambda *step: told.append(step))
    assert len(told) < QUICK.steps  # of two levels' worth


def test_folds_are_smoothed_away():
    displacement = torch.zeros(1, 3, *GRID.shape)
    displacement[0, 0, 15:18] = torch.tensor([1.0, 0.0, -1.5])[:, None, None]
    assert jacobian_determinant(displacement).min() < 0
    displaced = unfolded(displacement, 0.7)
    assert jacobian_determinant(displaced).min() > 0
    assert displaced.abs().max() > 0.1
    assert torch.equal(unfolded(displaced, 0.7), displaced)


def test_the_method_is_the_optimisation_of_the_identity(pair):
    moving, fixed, _ = pair
    deformation = Greedy(steps=10, mm=[2, 1]).register(moving, fixed, GRID)
    start = AffineOnly().register(moving, fixed, GRID)
    expected = refine(moving, fixed, GRID, start, Refinement(steps=10, mm=(2.0, 1.0)))
    assert torch.equal(deformation.displacement, expected.displacement)
    assert isinstance(build(spec("greedy")), Greedy)
