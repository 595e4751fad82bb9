"""Pairs of two contrasts: made alike by the pair itself, anew on each level."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pmrpipe.images.volume import Grid
from pmrpipe.methods.across import Likening, across
from pmrpipe.methods.classical import AffineOnly, AntsSyN
from pmrpipe.methods.contrast import likened
from pmrpipe.methods.load import build_network
from pmrpipe.methods.refine import Greedy, Refined, Refinement
from pmrpipe.methods.spec import spec
from pmrpipe.spatial.smooth import smoothed
from pmrpipe.spatial.warp import warp
from pmrpipe.stages.register.uncertainty import deviation_map

SHAPE = (32, 36, 32)
GRID = Grid(SHAPE, np.diag([4.0, 4, 4, 1]))


def tissue(image: torch.Tensor) -> torch.Tensor:
    """Another contrast: up, then down, so that no line tells one from the other."""
    return torch.where(image > 0, 0.15 + 2.8 * image * (1 - image), torch.zeros_like(image))


@pytest.fixture(scope="module")
def pair() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    blobs = smoothed(torch.randn(1, 1, *SHAPE, generator=generator), 1.5)
    fixed = torch.sigmoid(3 * blobs / blobs.std())
    fixed[..., :4, :, :] = 0
    x, y, z = torch.meshgrid(*(torch.arange(n) / n for n in SHAPE), indexing="ij")
    turns = [torch.sin(2 * torch.pi * axis) for axis in (y, z, x)]
    truth = 1.3 * torch.stack(turns)[None]
    return warp(fixed, -truth), fixed, truth


def test_the_image_that_is_no_function_of_the_other_is_replaced(pair) -> None:
    _, fixed, _ = pair
    alike = likened(tissue(fixed), fixed)
    assert alike.moving is None
    first, second = alike(tissue(fixed), fixed)
    assert first is not fixed
    brain = fixed > 0
    assert float((first - second)[brain].abs().mean()) < 0.02
    assert float(second[~brain].abs().max()) == 0
    assert likened(fixed, tissue(fixed)).fixed is None


def test_few_voxels_change_nothing() -> None:
    empty = torch.zeros(1, 1, 8, 8, 8)
    assert likened(empty, empty)(empty, empty) == (empty, empty)


def test_greedy_finds_the_warp_across_contrasts(pair) -> None:
    moving, fixed, truth = pair
    other = torch.where(moving > 0, 1.05 - moving, torch.zeros_like(moving)) ** 2

    def error(method: object) -> float:
        deformation = method.register(other, fixed, GRID)  # type: ignore[attr-defined]
        apart = (deformation.resampled(GRID).displacement - truth).square().sum(1).sqrt()
        return float(apart[fixed[0] > 0].mean())

    before = float(truth.square().sum(1).sqrt()[fixed[0] > 0].mean())
    with torch.no_grad():
        assert error(across(Greedy(steps=30))) < 0.5 * before


def test_each_kind_of_method_gets_its_own() -> None:
    refined = across(Refined(AffineOnly(), Refinement()))
    assert isinstance(refined, Refined)
    assert refined.plan.across
    syn = AntsSyN()
    assert across(syn) is syn

    class Own:
        def register(self, moving, fixed, grid):
            return moving, fixed

    assert isinstance(across(Own()), Likening)
    taught = build_network(spec("quicksilver-t2w"))
    assert across(taught) is taught
    assert isinstance(across(build_network(spec("quicksilver"))), Likening)


def test_uncertainty_is_of_what_the_network_saw(pair) -> None:
    """Its images are made alike as those that are registered."""
    moving, fixed, _ = pair
    seen = []

    class Sure:
        def posterior(self, moving, fixed, grid):
            seen.append((moving, fixed))
            return self

        def deviation(self, samples, seed):
            return torch.zeros(SHAPE)

    images = (tissue(moving), fixed)
    deviation_map(Sure(), images, GRID, 2, 0, alike=False)  # type: ignore[arg-type]
    expected = likened(*images)(*images)
    assert all(map(torch.equal, seen[0], expected))
    assert not all(map(torch.equal, seen[0], images))
    deviation_map(Sure(), images, GRID, 2, 0)  # type: ignore[arg-type]
    assert all(map(torch.equal, seen[1], images))
