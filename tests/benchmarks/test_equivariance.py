"""The measure of equivariance, by registrars whose error is known in closed form."""

import importlib.util
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pmrpipe.images.volume import Grid
from pmrpipe.methods.classical import AffineOnly
from pmrpipe.methods.deformation import Deformation
from pmrpipe.spatial.maps import Affine, Pointwise, composed
from pmrpipe.spatial.warp import identity_grid

PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "equivariance.py"
MM, SHAPE = 4.0, (40, 44, 42)
GRID = Grid(SHAPE, np.diag([MM, MM, MM, 1.0]))


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("equivariance", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules["equivariance"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pair(benchmark):
    """Two textured ellipsoids with a margin, and the labels of their halves."""
    voxels = identity_grid(SHAPE, torch.device("cpu"), torch.float32)[0]
    images, dsegs = [], []
    for seed, radius in enumerate((9.0, 10.0)):
        apart = [(voxels[n] - SHAPE[n] // 2) / (radius + n) for n in range(3)]
        inside = sum(a.square() for a in apart) < 1
        noise = torch.rand(SHAPE, generator=torch.Generator().manual_seed(seed))
        images.append(((0.2 + 0.8 * noise) * inside)[None, None])
        dsegs.append((inside * (1 + (voxels[0] > SHAPE[0] // 2)))[None, None].float())
    return benchmark.Pair(*images, GRID, tuple(dsegs))


def wave(points: torch.Tensor) -> torch.Tensor:
    return points + 1.5 * torch.sin(points.flip(1) / 6)


class Oracle:
    """Says of the moved images what an equivariant method would, as a field on the grid."""

    def __init__(self, condition) -> None:
        self.condition = condition

    def register(self, moving, fixed, grid) -> Deformation:
        w, u = self.condition.w, self.condition.u
        if self.condition.again is not None:
            w = u = torch.eye(4)
        whole = composed(Affine(torch.linalg.inv(w)), Pointwise(wave), Affine(u))
        return Deformation(whole.on(grid.shape, "cpu"), grid)


def test_the_identity_misses_what_the_motions_differ_by(benchmark, pair) -> None:
    none = Pointwise(lambda points: points)
    inside = (pair.fixed[0, 0] > 0).nonzero().float()
    centre = ((inside.amin(0) + inside.amax(0)) / 2).round()
    for condition in benchmark.conditions(pair, seed=3):
        row = benchmark.measured(AffineOnly(), pair, condition, none)
        if condition.group == "[U,U]":
            expected = 0.0
        elif condition.motion == "translation":
            expected = condition.amount
        else:
            axis = int(condition.w[:3, :3].diagonal().argmax())
            across = (inside - centre)[:, [n for n in range(3) if n != axis]]
            half = math.sin(math.radians(condition.amount) / 2)
            expected = 2 * half * MM * float(across.square().sum(1).sqrt().mean())
        assert row["error_mm"] == pytest.approx(expected, abs=1e-3), condition


def test_the_oracle_misses_nothing(benchmark, pair) -> None:
    for condition in benchmark.conditions(pair, seed=4):
        row = benchmark.measured(Oracle(condition), pair, condition, Pointwise(wave))
        assert row["error_mm"] < 1e-3, condition
        assert row["error95_mm"] < 1e-3


def test_a_method_that_ignores_the_motion_is_told_apart_from_the_oracle(benchmark, pair) -> None:
    (shift,) = (c for c in benchmark.conditions(pair, 5) if (c.amount, c.group) == (16.0, "[W,U]"))
    still = replace(shift, w=torch.eye(4), again=None)
    row = benchmark.measured(Oracle(still), pair, shift, Pointwise(wave))
    assert row["error_mm"] == pytest.approx(16, abs=0.01)


@pytest.mark.parametrize("amount", [0.0, 90.0, 180.0])
def test_quarter_turns_and_whole_voxels_interpolate_nothing(benchmark, pair, amount) -> None:
    exact = [
        c
        for c in benchmark.conditions(pair, 6)
        if c.motion == "translation" or (c.motion == "rotation" and c.amount == amount)
    ]
    for condition in exact:  # fmt: skip
        other = pair.moved(condition)
        for one, image in ((pair.moving, other.moving), (pair.fixed, other.fixed)):
            assert torch.equal(image.flatten().sort().values, one.flatten().sort().values)
        back = benchmark.moved(other.moving, torch.linalg.inv(condition.w))
        assert torch.equal(back, pair.moving)


def test_dice_follows_the_moved_labels(benchmark, pair) -> None:
    same = replace(pair, moving=pair.fixed, dsegs=(pair.dsegs[1], pair.dsegs[1]))
    none = Pointwise(lambda points: points)
    dice = {
        (c.motion, c.group, c.amount): benchmark.measured(AffineOnly(), same, c, none)["dice"]
        for c in benchmark.conditions(same, 7)
        if c.motion != "rotation"
    }
    # Turned there and back, labels are where they were.
    assert all(dice["resampling", "[U,U]", degrees] == 1 for degrees in (15.0, 45.0))
    assert all(dice["translation", "[U,U]", mm] == 1 for mm in benchmark.SHIFTS_MM)
    alone = [dice["translation", "[W,U]", mm] for mm in benchmark.SHIFTS_MM[1:]]
    assert alone == sorted(alone, reverse=True)
    assert alone[-1] < 0.5
