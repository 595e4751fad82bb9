"""Lesions: silent in the similarity, filled for what comes before, and the whole no worse."""

from __future__ import annotations

import pytest
import torch

from pmrpipe.base.errors import InputError
from pmrpipe.images.volume import Grid
from pmrpipe.losses.similarity import counted_correlation_map, local_correlation
from pmrpipe.methods.classical import AffineOnly
from pmrpipe.methods.lesions import Lesions, register_around
from pmrpipe.methods.refine import Greedy, Refined, Refinement
from pmrpipe.spatial.smooth import smoothed
from pmrpipe.spatial.warp import warp

SHAPE = (32, 36, 32)


def grid() -> Grid:
    import numpy as np

    return Grid(SHAPE, np.diag([4.0, 4, 4, 1]))


@pytest.fixture(scope="module")
def pair() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A moving image of blobs, the fixed image that it is of, and the true displacement."""
    generator = torch.Generator().manual_seed(1)
    blobs = smoothed(torch.randn(1, 1, *SHAPE, generator=generator), 1.5)
    truth = smoothed(torch.randn(1, 3, *SHAPE, generator=generator), 5.0)
    truth = truth * (1.5 / truth.square().sum(1).sqrt().max())
    moving = ((blobs - blobs.min()) / (blobs.max() - blobs.min())).clamp(min=0.01)
    return moving, warp(moving, truth), truth


def ball(at: tuple[int, int, int], radius: float) -> torch.Tensor:
    axes = torch.meshgrid(
        *(torch.arange(n) - c for n, c in zip(SHAPE, at, strict=True)), indexing="ij"
    )
    return (sum(a.square() for a in axes) <= radius**2).float()[None, None]


def counted_correlation(fixed, moving, counted) -> torch.Tensor:
    return counted_correlation_map(fixed, moving, counted, 5).sum() / counted.sum()


def test_where_all_counts_it_is_the_local_correlation(pair) -> None:
    moving, fixed, _ = pair
    inner = (..., slice(4, -4), slice(4, -4), slice(4, -4))
    every = torch.ones_like(fixed)
    mine = counted_correlation(fixed[inner], moving[inner], every[inner])
    assert float(mine) == pytest.approx(
        float(local_correlation(fixed[inner], moving[inner], 5)), rel=0.1
    )
    assert float(counted_correlation(fixed, 3 - 2 * fixed, every)) > 0.99


def test_what_lies_in_a_lesion_changes_nothing(pair) -> None:
    moving, fixed, _ = pair
    lesion = ball((16, 18, 16), 6)
    leaf = moving.clone().requires_grad_()
    value = counted_correlation(fixed, leaf, 1 - lesion)
    (slope,) = torch.autograd.grad(value, leaf)
    assert float(slope[lesion > 0].abs().max()) == 0
    other = torch.where(lesion > 0, torch.rand_like(moving), moving)
    again = counted_correlation(fixed, other, 1 - lesion)
    assert float(again.detach()) == pytest.approx(float(value.detach()), abs=1e-5)


@pytest.mark.parametrize("side", ["moving", "fixed"])
def test_a_lesion_left_out_does_less_harm(pair, side: str) -> None:
    moving, fixed, truth = pair
    lesion = ball((16, 18, 16), 6)
    image = {"moving": moving, "fixed": fixed}
    image[side] = torch.where(lesion > 0, 0.02 * torch.ones_like(lesion), image[side])
    method = Greedy(steps=30)
    with torch.no_grad():
        blind = method.register(image["moving"], image["fixed"], grid())
        seeing = method.register_around(
            image["moving"], image["fixed"], grid(), Lesions(**{side: lesion})
        )
        whole = method.register(moving, fixed, grid())
    fields = [d.resampled(grid()).displacement for d in (blind, seeing, whole)]
    errors = [(field - truth).square().sum(1).sqrt() for field in fields]
    near = ball((16, 18, 16), 9)[0] > 0
    inside = [float(e[near].mean()) for e in errors]
    assert inside[1] < 0.95 * inside[0]
    rest = [float(e[~near].mean()) for e in errors]
    assert rest[1] < rest[2] + 0.1


def test_a_lesion_is_filled_by_what_surrounds_it() -> None:
    image = torch.full((1, 1, *SHAPE), 0.5)
    lesion = ball((16, 18, 16), 7)
    dark = torch.where(lesion > 0, torch.full_like(image, 0.02), image)
    filled, other = Lesions(moving=lesion).filled(dark, image)
    assert torch.allclose(filled, image, atol=1e-3)
    assert other is image


def test_a_method_that_cannot_leave_one_out_is_refused(pair) -> None:
    moving, fixed, _ = pair

    class Own:
        def register(self, moving, fixed, grid):
            raise AssertionError("not asked")

    with pytest.raises(InputError, match="mine: cannot leave a lesion out"):
        register_around(Own(), "mine", moving, fixed, grid(), Lesions(moving=moving))
    plan = Refinement(steps=2, mm=(8.0,))
    refined = Refined(AffineOnly(), plan)
    register_around(refined, "affine", moving, fixed, grid(), Lesions(moving=moving * 0))
