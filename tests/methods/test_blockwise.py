"""A level in blocks is the level of the whole grid, but for rounding."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pmrpipe.images.volume import Grid
from pmrpipe.methods import blockwise
from pmrpipe.methods.blockwise import level_in_blocks
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.lesions import Lesions
from pmrpipe.methods.refine import Refinement, one_sided, refine
from pmrpipe.spatial.blocks import blocks
from pmrpipe.spatial.integrate import integrate
from pmrpipe.spatial.smooth import smoothed
from pmrpipe.spatial.warp import warp

MM = 0.7
GRID = Grid((40, 44, 36), np.diag([MM, MM, MM, 1.0]))
PLAN = Refinement(steps=24, mm=(2.0, 1.0), finest=MM)


def noise(channels: int, seed: int, deviation: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    drawn = smoothed(torch.randn(1, channels, *GRID.shape, generator=generator), deviation)
    return drawn / drawn.abs().max()


@pytest.fixture(scope="module")
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    """A textured ball and its warp; outside it both are 0."""
    axes = [torch.linspace(-1.3, 1.3, n) for n in GRID.shape]
    ball = sum(a.square() for a in torch.meshgrid(*axes, indexing="ij")) < 1
    moving = (0.5 + 0.5 * noise(1, 0, 1.5)) * ball
    return moving, warp(moving, integrate(2 * noise(3, 1, 5.0)))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(blockwise, "blocks", lambda shape, reach: blocks(shape, reach, 17))


def lesion(place: int) -> torch.Tensor:
    mask = torch.zeros(1, 1, *GRID.shape)
    mask[..., place : place + 7, 18:26, 14:22] = 1
    return mask


def ascended(pair, plan, ascend, lesions=None) -> tuple[torch.Tensor, list[int]]:
    """The displacement of a level at the images' own voxels, and the steps that it told."""
    told = []
    first = torch.zeros(1, 3, *GRID.shape)
    return ascend(*pair, first, plan, told.append, lesions), told


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """The largest distance of two displacements, mm."""
    return float(MM * (one - other).square().sum(1).sqrt().max())


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize(
    "lesions", [None, Lesions(lesion(8), lesion(22)), Lesions(None, lesion(20))]
)
def test_blocks_and_whole_give_the_same_field(pair, across, lesions):
    # Descriptors of a background without texture let rounding grow over many steps.
    plan = replace(PLAN, across=across, steps=6 if across else PLAN.steps)
    whole, _ = ascended(pair, plan, one_sided, lesions)
    in_blocks, _ = ascended(pair, plan, level_in_blocks, lesions)
    assert whole.abs().max() > 0.5
    assert apart(whole, in_blocks) < 0.01
    assert not torch.equal(whole, in_blocks)


def test_too_small_a_reach_gives_another_field(pair, monkeypatch):
    """What the equality above rests on."""
    whole, _ = ascended(pair, PLAN, one_sided)
    monkeypatch.setattr(blockwise, "blocks", lambda shape, reach: blocks(shape, 2, 17))
    assert apart(whole, ascended(pair, PLAN, level_in_blocks)[0]) > 0.02


def test_steps_and_end_are_told_alike(pair):
    """Images that are the same: the level ends where nothing is gained."""
    alike = (pair[1], pair[1])
    steps = [ascended(alike, PLAN, ascend)[1] for ascend in (one_sided, level_in_blocks)]
    assert steps[0] == steps[1] != []
    assert len(steps[0]) < PLAN.steps


def test_large_grids_go_in_blocks_and_those_below_one_millimetre_move_one_image(pair):
    start = Deformation(torch.zeros(1, 3, *GRID.shape), GRID)
    plan = replace(PLAN, steps=4)
    whole = refine(*pair, GRID, start, plan)
    in_blocks = refine(*pair, GRID, start, replace(plan, whole=0))
    assert whole.grid == in_blocks.grid == GRID
    assert whole.parametrisation is in_blocks.parametrisation is None
    # Half-way and one-sided levels are two ways to the same place.
    assert apart(whole.displacement, in_blocks.displacement) < 1.0


def test_on_a_device_without_values_nothing_is_read(pair):
    images = [image.to("meta") for image in pair]
    for across in (False, True):
        plan = Refinement(steps=2, across=across, whole=0, finest=MM)
        start = Deformation(torch.empty(1, 3, *GRID.shape, device="meta"), GRID)
        refined = refine(*images, GRID, start, plan)
        assert refined.displacement.is_meta
        assert refined.displacement.shape[2:] == GRID.shape


def test_the_finest_level_is_the_images_own_where_that_is_asked_for():
    plan = Refinement()
    assert plan.levels(0.5) == plan.levels(1.0) == plan.down_to(1).levels(0.5) == [8, 4, 2, 1]
    assert plan.down_to(0.5).levels(0.5) == [8, 4, 2, 1, 0.5]
    assert plan.down_to(0.5).levels(0.7) == [8, 4, 2, 1, 0.7]
    assert plan.down_to(0.7).levels(0.5) == [8, 4, 2, 1, 0.7]
    assert plan.down_to(0.5).levels(0.9) == [8, 4, 2, 0.9]  # not at 1 mm and at 0.9 mm
    assert plan.down_to(0.5).levels(1.5) == plan.down_to(2).levels(0.5) == [8, 4, 2]
    assert plan.levels(10.0) == [10]


def test_widths_are_kept_in_millimetres_below_one():
    plan = Refinement(steps=10)
    assert [plan.at(mm) for mm in (8, 1)] == [plan, replace(plan, steps=3)]
    fine = plan.at(0.5)
    assert (fine.fluid, fine.elastic, fine.rate, fine.steps) == (2.0, 2.0, 0.6, 3)
    assert [plan.at(mm).window for mm in (1, 0.8, 0.7, 0.5)] == [5, 7, 7, 9]
