"""Instance optimisation: it gets closer, never worse, stays diffeomorphic, and repeats."""

import numpy as np
import pytest
import torch

from pmrpipe.losses.similarity import local_correlation
from pmrpipe.methods.base import Deformation
from pmrpipe.methods.classical import AffineOnly
from pmrpipe.methods.refine import Refined, Refinement, refine
from pmrpipe.spatial.integrate import integrate
from pmrpipe.spatial.warp import warp
from pmrpipe.volume import Grid

GRID = Grid((32, 36, 28), np.eye(4))
QUICK = Refinement(steps=30, mm=(2.0, 1.0))


def smooth(*shape: int, seed: int, times: int) -> torch.Tensor:
    noise = torch.randn(1, *shape, generator=torch.Generator().manual_seed(seed))
    for _ in range(times):
        noise = torch.nn.functional.avg_pool3d(noise, 5, 1, 2)
    return noise / noise.abs().max()


@pytest.fixture(autouse=True)
def one_thread():
    """More add up the gradient of a warp in an order of their own."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A textured image, the same warped by a smooth velocity, and that velocity."""
    image = 0.5 + 0.5 * smooth(1, *GRID.shape, seed=0, times=2)
    velocity = 3 * smooth(3, *GRID.shape, seed=1, times=5)
    return image, warp(image, integrate(velocity), padding="border"), velocity


def similarity(found: Deformation, moving: torch.Tensor, fixed: torch.Tensor) -> float:
    return float(local_correlation(fixed, found.apply(moving), 5))


def test_it_finds_most_of_a_smooth_warp(pair):
    moving, fixed, _ = pair
    start = AffineOnly().register(moving, fixed, GRID)
    found = Refined(AffineOnly(), QUICK).register(moving, fixed, GRID)
    assert similarity(start, moving, fixed) < 0.85
    assert similarity(found, moving, fixed) > 0.98
    assert found.jacobian().min() > 0
    assert found.grid == GRID
    again = Refined(AffineOnly(), QUICK).register(moving, fixed, GRID)
    assert torch.equal(found.displacement, again.displacement)


def test_a_velocity_is_carried_on_and_keeps_its_inverse(pair):
    moving, fixed, velocity = pair
    start = Deformation(integrate(0.7 * velocity), GRID, 0.7 * velocity)
    found = refine(moving, fixed, GRID, start, QUICK)
    assert found.velocity is not None
    assert similarity(found, moving, fixed) > similarity(start, moving, fixed)
    inside = torch.zeros(GRID.shape, dtype=torch.bool)
    inside[4:-4, 4:-4, 4:-4] = True
    assert found.inverse_consistency(inside) < 0.1


def test_a_displacement_stays_and_a_velocity_comes_before_it(pair):
    moving, fixed, velocity = pair
    start = Deformation(integrate(0.5 * velocity), GRID)
    found = refine(moving, fixed, GRID, start, QUICK)
    assert found.velocity is None
    assert similarity(found, moving, fixed) > similarity(start, moving, fixed)
    nothing = refine(moving, fixed, GRID, start, Refinement(steps=0, mm=(1.0,)))
    assert torch.allclose(nothing.displacement, start.displacement, atol=1e-5)


def test_it_never_ends_worse(pair):
    """A rate far too high: the start is kept."""
    moving, fixed, velocity = pair
    start = Deformation(integrate(velocity), GRID, velocity)
    wild = Refinement(steps=5, mm=(1.0,), learning_rate=50.0)
    found = refine(moving, fixed, GRID, start, wild)
    assert torch.equal(found.velocity, velocity)
