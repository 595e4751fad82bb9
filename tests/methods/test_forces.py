"""Forces in blocks are those of the whole grid, but for rounding; they are the true gradient."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from pmrpipe.images.volume import Grid
from pmrpipe.methods import forces
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.forces import Pair
from pmrpipe.methods.lesions import Lesions
from pmrpipe.methods.refine import Refinement, refine
from pmrpipe.spatial.blocks import blocks
from pmrpipe.spatial.integrate import integrate
from pmrpipe.spatial.smooth import smoothed
from pmrpipe.spatial.warp import warp
from tests.helpers.parts import smooth_noise

MM = 0.7
GRID = Grid((40, 44, 36), np.diag([MM, MM, MM, 1.0]))
PLAN = Refinement(steps=24, mm=(2.0, 1.0), finest=MM)


noise = partial(smooth_noise, GRID.shape)


@pytest.fixture(scope="module")
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    """A textured ball and its warp; outside it both are 0."""
    axes = [torch.linspace(-1.3, 1.3, n) for n in GRID.shape]
    ball = sum(a.square() for a in torch.meshgrid(*axes, indexing="ij")) < 1
    moving = (0.5 + 0.5 * noise(1, 0, 1.5)) * ball
    return moving, warp(moving, integrate(2 * noise(3, 1, 5.0)))


@pytest.fixture
def small_blocks(monkeypatch):
    """Cores of at most 17 voxels along an axis where the grid counts as large."""
    monkeypatch.setattr(forces, "blocks", lambda shape, reach, edge=17: blocks(shape, reach, edge))


def lesion(place: int) -> torch.Tensor:
    mask = torch.zeros(1, 1, *GRID.shape)
    mask[..., place : place + 7, 18:26, 14:22] = 1
    return mask


BOTH = torch.cat([noise(3, 2, 4.0), -noise(3, 2, 4.0)])
LESIONS = [Lesions(), Lesions(lesion(8), lesion(22)), Lesions(None, lesion(20))]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("lesions", LESIONS)
@pytest.mark.parametrize("counts", [None, 1 + noise(1, 6, 3.0)], ids=["alike", "counts"])
def test_blocks_and_whole_give_the_same_force(pair, across, lesions, counts):
    plan = replace(PLAN, across=across)
    similarity, whole = Pair(*pair, plan, lesions, counts).compare(BOTH, True)
    again, force = Pair(*pair, replace(plan, whole=0), lesions, counts).compare(BOTH, True)
    assert float(again) == pytest.approx(float(similarity), rel=1e-5)
    torch.testing.assert_close(force, whole, rtol=1e-3, atol=1e-4 * float(whole.abs().max()))
    nothing = Pair(*pair, plan, lesions, counts).compare(BOTH, False)
    assert nothing == (similarity, None)


@pytest.mark.usefixtures("small_blocks")
def test_too_small_a_reach_gives_another_force(pair, monkeypatch):
    """What the equality above rests on."""
    _, whole = Pair(*pair, PLAN, Lesions()).compare(BOTH, True)
    monkeypatch.setattr(forces, "blocks", lambda shape, reach: blocks(shape, 2, 17))
    _, force = Pair(*pair, replace(PLAN, whole=0), Lesions()).compare(BOTH, True)
    assert (whole - force).abs().max() > 0.05 * whole.abs().max()


def test_what_counts_twice_in_both_halves_of_the_image_counts_once(pair):
    """The similarity is a mean over what counts, the force of a half its own alone."""
    half = torch.zeros(1, 1, *GRID.shape)
    half[:, :, :20] = 1
    counted = [Pair(*pair, PLAN, Lesions(), c) for c in (half, 1 - half, torch.ones_like(half))]
    (one, first), (other, second), (mean, both) = (p.compare(BOTH, True) for p in counted)
    assert float(one + other) / 2 == pytest.approx(float(mean), rel=1e-5)
    torch.testing.assert_close(first + second, both)
    assert (first[:, :, 22:] == 0).all()
    assert torch.equal(both, Pair(*pair, PLAN, Lesions()).compare(BOTH, True)[1])


@pytest.mark.parametrize(
    ("across", "lesions"), [(False, LESIONS[0]), (False, LESIONS[1]), (True, LESIONS[0])]
)
def test_the_force_is_the_slope_along_a_push_of_both_images(across, lesions):
    """By finite differences: points to moving go by a smooth push, those to fixed against it."""
    images = [(2 + noise(1, seed, 3.0)).double() for seed in (3, 4)]
    masks = [None if mask is None else mask.double() for mask in (lesions.moving, lesions.fixed)]
    level = Pair(*images, replace(PLAN, across=across), Lesions(*masks))
    still = torch.zeros(2, 3, *GRID.shape, dtype=torch.float64)
    _, force = level.compare(still, True)
    # Not near the faces, where images end, nor near lesions, where what counts would change.
    healthy = level.lesions.counted(images[0])
    far = torch.zeros_like(healthy)
    far[..., 8:-8, 8:-8, 8:-8] = smoothed(healthy, 2.0)[..., 8:-8, 8:-8, 8:-8] > 0.999
    push = noise(3, 5, 4.0).double() * far
    step = 1e-3 * torch.cat([push, -push])
    ends = [float(level.compare(sign * step, False)[0]) for sign in (1, -1)]
    slope = (ends[0] - ends[1]) / 2e-3
    assert float(2 * (force * push).sum() / healthy.sum()) == pytest.approx(slope, rel=0.05)


def test_large_grids_and_small_ones_end_alike_below_one_millimetre(pair, small_blocks):
    start = Deformation(torch.zeros(1, 3, *GRID.shape), GRID)
    whole = refine(*pair, GRID, start, PLAN)
    in_blocks = refine(*pair, GRID, start, replace(PLAN, whole=0))
    assert whole.grid == in_blocks.grid == GRID.rescaled(2.0)
    assert whole.displacement.abs().max() > 0.05
    assert whole.parametrisation is not None
    apart = (whole.displacement - in_blocks.displacement).square().sum(1).sqrt()
    assert 2 * apart.max() < 0.01  # mm


@pytest.mark.parametrize("across", [False, True])
def test_on_a_device_without_values_nothing_is_read(pair, across):
    images = [image.to("meta") for image in pair]
    plan = Refinement(steps=2, across=across, whole=0, finest=MM)
    start = Deformation(torch.empty(1, 3, *GRID.shape, device="meta"), GRID)
    refined = refine(*images, GRID, start, plan)
    assert refined.displacement.is_meta
    assert refined.displacement.shape[2:] == GRID.rescaled(2.0).shape


def test_the_finest_level_is_the_images_own_where_that_is_asked_for():
    plan = Refinement()
    assert plan.levels(0.5) == plan.levels(1.0) == plan.down_to(1).levels(0.5) == [8, 4, 2, 1]
    assert plan.down_to(0.5).levels(0.5) == [8, 4, 2, 1, 0.5]
    assert plan.down_to(0.5).levels(0.7) == [8, 4, 2, 1, 0.7]
    assert plan.down_to(0.7).levels(0.5) == [8, 4, 2, 1, 0.7]
    assert plan.down_to(0.5).levels(0.9) == [8, 4, 2, 0.9]  # not at 1 mm and at 0.9 mm
    assert plan.down_to(0.5).levels(1.5) == plan.down_to(2).levels(0.5) == [8, 4, 2]
    assert plan.levels(10.0) == [10]


def test_displacements_are_twice_as_coarse_and_the_window_is_kept_in_millimetres_below_one():
    plan, head = Refinement(steps=10), Grid((160, 192, 176), np.eye(4))
    places = {8: 16, 2: 4, 1.2: 2.4, 1: 2, 0.5: 2}
    for mm, coarse in places.items():
        assert plan.displacements(head, mm) == head.rescaled(coarse)
    assert plan.displacements(GRID, 8) == GRID.rescaled(8)  # of 2 x 2 x 2 voxels at 16 mm
    assert [plan.at(mm) for mm in (8, 1)] == [plan, replace(plan, steps=3)]
    assert plan.at(0.5) == replace(plan, steps=3, window=9)
    assert [plan.at(mm).window for mm in (1, 0.8, 0.7, 0.5)] == [5, 7, 7, 9]
