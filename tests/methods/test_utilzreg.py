"""UtilzReg: its adjoint against autograd, energies that fall, and levels that agree in mm."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pmrpipe.images.volume import Grid
from pmrpipe.methods.geodesic import Geodesic
from pmrpipe.methods.load import build
from pmrpipe.methods.spec import spec
from pmrpipe.methods.utilzreg import ScalarShooting, UtilzReg
from pmrpipe.spatial.kernels import Gaussians, KernelOnGrid
from pmrpipe.spatial.smooth import smoothed

SHAPE = (18, 20, 16)
GRID = Grid(SHAPE, np.diag([4.0, 4.0, 4.0, 1.0]))


def image(seed):
    """Smooth structure away from the faces, in [0, 1]."""
    noise = torch.rand(1, 1, *SHAPE, generator=torch.Generator().manual_seed(seed)).double()
    inside = torch.zeros_like(noise)
    inside[..., 4:-4, 4:-4, 4:-4] = 1
    value = smoothed(noise * inside, 1.5)
    return value / value.max()


@pytest.fixture(scope="module")
def problem():
    kernel = KernelOnGrid(Gaussians((2.0,)), SHAPE, (1.0, 1.0, 1.0), dtype=torch.float64)
    return ScalarShooting(image(0), image(1), kernel, times=12)


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_the_adjoint_points_where_autograd_does(problem, strength):
    """It is the gradient of the equations, not of their discretisation: nearly the same.

    Autograd itself goes through the discrete path, with no adjoint equation.
    """
    momentum = image(2) * (image(0) - image(1))
    momentum = momentum * strength / problem.longest(momentum)
    own = problem.gradient(momentum, problem.path(momentum))
    leaf = momentum.clone().requires_grad_()
    total = problem.terms(leaf, problem.path(leaf)[-1][0])["total"]
    (exact,) = torch.autograd.grad(total, leaf)
    cosine = float((own * exact).sum() / (own.norm() * exact.norm()))
    assert cosine > 0.99
    assert 0.9 < float(own.norm() / exact.norm()) < 1.1


def test_a_step_is_as_long_as_it_may_be_and_energies_fall():
    moving, fixed = image(0).float(), image(1).float()
    told = []
    method = UtilzReg(
        kernel=Gaussians((8.0,)),
        levels_mm=(4.0,),
        iterations=(4,),
        longest=0.1,
        tell=lambda *words: told.append(words),
    )
    answer = method.register(moving, fixed, GRID)
    assert isinstance(answer.parametrisation, Geodesic)
    totals = [terms["total"] for _, _, terms in told]
    assert totals == sorted(totals, reverse=True)
    assert [row["total"] for row in answer.parametrisation.energies] == totals
    longest = float(answer.displacement.norm(dim=1).max())
    assert 0.1 < longest < 4 * 0.1 + 0.05


def test_the_best_momentum_is_kept_not_the_last():
    """Steps of three voxels overshoot: what is returned is no worse than the best on the way."""
    moving, fixed = image(0).float(), image(1).float()
    method = UtilzReg(kernel=Gaussians((8.0,)), levels_mm=(4.0,), iterations=(6,), longest=3.0)
    answer = method.register(moving, fixed, GRID)
    totals = [row["total"] for row in answer.parametrisation.energies]
    left = float((answer.apply(moving) - fixed).square().sum()) / 2
    rows = answer.parametrisation.energies
    best = min(rows, key=lambda row: row["total"])
    assert left == pytest.approx(best["matching"], rel=0.25)
    assert min(totals) < totals[-1]


def test_a_finer_level_begins_where_the_coarser_one_ended():
    moving, fixed = image(0).float(), image(1).float()
    method = UtilzReg(kernel=Gaussians((10.0,)), levels_mm=(8.0, 4.0), iterations=(6, 0))
    answer = method.register(moving, fixed, GRID)
    coarse = UtilzReg(kernel=Gaussians((10.0,)), levels_mm=(8.0,), iterations=(6,))
    first = coarse.register(moving, fixed, GRID)
    gap = answer.displacement * 4 - first.resampled(GRID).displacement * 4
    assert float(gap.norm(dim=1).mean()) < 0.35 * float(
        (answer.displacement * 4).norm(dim=1).mean()
    )


def test_no_level_is_finer_than_the_images_and_none_comes_twice():
    moving, fixed = image(0).float(), image(1).float()
    method = UtilzReg(kernel=Gaussians((8.0,)), levels_mm=(8.0, 4.0, 2.0), iterations=(1, 9, 2))
    rows = method.register(moving, fixed, GRID).parametrisation.energies
    assert [row["level_mm"] for row in rows] == [8.0] * 2 + [4.0] * 3


def test_apparent_weights_let_every_gaussian_move_alike():
    moving, fixed = image(0).float(), image(1).float()
    method = UtilzReg(kernel=Gaussians((4.0, 12.0)), apparent=True)
    kernel = method.kernel_for(moving, fixed, GRID)
    assert kernel.weights[1] > kernel.weights[0]  # a wide one moves less for the same force
    same = method.kernel_for(moving, moving, GRID)
    assert same.weights == (0.5, 0.5)


def test_the_shipped_one_builds():
    assert isinstance(build(spec("utilzreg")), UtilzReg)
