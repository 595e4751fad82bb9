"""Geodesics against a Hamiltonian particle system, closed forms, invariants and reversal."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from pmrpipe.spatial.geodesic import Shooting, coadjoint, shoot, steady
from pmrpipe.spatial.integrate import compose
from pmrpipe.spatial.kernels import Fluid, Gaussians, KernelOnGrid
from pmrpipe.spatial.smooth import smoothed

SHAPE = (24, 22, 26)
BUMP = Gaussians((3.0,))


def kernel(which=BUMP, shape=SHAPE, spacing=(1.0, 1.0, 1.0), dtype=torch.float64):
    return KernelOnGrid(which, shape, spacing, dtype=dtype)


def smooth_momentum(grid, most, seed=0):
    """A random momentum away from the faces, whose velocity is `most` mm at its largest."""
    noise = torch.randn(1, 3, *grid.shape, generator=torch.Generator().manual_seed(seed)).double()
    window = torch.zeros(1, 1, *grid.shape, dtype=torch.float64)
    window[(slice(None), slice(None), *(slice(n // 3, n - n // 3) for n in grid.shape))] = 1
    momentum = smoothed(noise * window, 2.0)
    return momentum * most / grid.smooth(momentum).norm(dim=1).max()


def test_no_momentum_is_the_identity_exactly():
    path = shoot(torch.zeros(1, 3, *SHAPE, dtype=torch.float64), kernel(), both=True)
    for field in (path.inverse, path.forward, path.energies):
        assert not field.any()


def test_a_constant_momentum_is_a_translation():
    """On the periodic grid of the fluid kernel: by c / gamma."""
    fluid = Fluid(0.01, 0.01, 0.001)
    constant = torch.tensor([2e-3, -1e-3, 5e-4]).double().view(1, 3, 1, 1, 1).expand(1, 3, *SHAPE)
    path = shoot(constant.contiguous(), kernel(fluid), both=True)
    inside = (slice(None), slice(None), *(slice(6, n - 6) for n in SHAPE))
    torch.testing.assert_close(path.forward[inside], constant[inside] / 0.001)
    torch.testing.assert_close(path.inverse[inside], -constant[inside] / 0.001)


@pytest.mark.parametrize(
    ("shooting", "least"),
    [(Shooting(10), 0.05), (Shooting(5, "rk4"), 0.05), (Shooting(10, form="map"), 0.06)],
)
def test_points_end_where_the_particles_do(shooting, least):
    """Every voxel of the momentum as a particle of Hamilton's equations, by DOP853."""
    shape, deviation = (18, 18, 18), 2.5
    grid = kernel(Gaussians((deviation,)), shape)
    momentum = torch.zeros(1, 3, *shape, dtype=torch.float64)
    generator = torch.Generator().manual_seed(4)
    core = (slice(None), slice(None), *[slice(6, 12)] * 3)
    momentum[core] = (
        torch.randn(1, 3, 1, 1, 1, generator=generator).double()
        + 0.2 * torch.randn(1, 3, 6, 6, 6, generator=generator).double()
    )
    momentum *= 2.5 / grid.smooth(momentum).norm(dim=1).max()
    path = shoot(momentum, grid, shooting, both=True)
    q = np.argwhere(np.ones((6, 6, 6))) + 6.0
    p = momentum[core][0].reshape(3, -1).numpy().T
    points = np.argwhere(np.ones((5, 5, 5))) * 2.0 + 5
    end = _particles(q, p, points, deviation)
    index = points.astype(int)
    moved = points + path.forward[0][:, index[:, 0], index[:, 1], index[:, 2]].numpy().T
    assert np.linalg.norm(moved - end, axis=1).mean() < least
    assert np.linalg.norm(end - points, axis=1).max() > 1.5  # they went somewhere


def _particles(q, p, points, deviation):
    """Where `points` end that flow with particles `q` of momenta `p`, under a Gaussian kernel."""
    count, scale = len(q), (2 * np.pi * deviation**2) ** -1.5

    def rates(_, state):
        q, p = state[: 3 * count].reshape(-1, 3), state[3 * count : 6 * count].reshape(-1, 3)
        x = state[6 * count :].reshape(-1, 3)
        apart = q[:, None] - q[None]
        gauss = scale * np.exp(-0.5 * (apart**2).sum(-1) / deviation**2)
        force = (p @ p.T * gauss)[..., None] * apart / deviation**2
        there = scale * np.exp(-0.5 * ((x[:, None] - q[None]) ** 2).sum(-1) / deviation**2)
        return np.concatenate([(gauss @ p).ravel(), force.sum(1).ravel(), (there @ p).ravel()])

    state = np.concatenate([q.ravel(), p.ravel(), points.ravel()])
    done = solve_ivp(rates, (0, 1), state, method="DOP853", rtol=1e-8, atol=1e-8)
    return done.y[6 * count :, -1].reshape(-1, 3)


def test_energy_and_total_momentum_are_kept():
    grid = kernel()
    momentum = smooth_momentum(grid, 3.0)
    drift = []
    for steps in (5, 10):
        path = shoot(momentum, grid, Shooting(steps))
        drift.append(float((path.energies / path.energies[0] - 1).abs().max()))
        torch.testing.assert_close(
            path.momentum.sum((2, 3, 4)), momentum.sum((2, 3, 4)), rtol=1e-4, atol=0
        )
    assert drift[1] < 0.005
    assert drift[1] < 0.5 * drift[0]  # second order in time
    mapped = shoot(momentum, grid, Shooting(10, form="map"))
    assert float((mapped.energies / mapped.energies[0] - 1).abs().max()) < 0.03


def test_steps_are_as_many_as_keep_the_energy():
    grid = kernel()
    slow, fast = smooth_momentum(grid, 0.5), smooth_momentum(grid, 12.0)
    assert steady(slow, grid, Shooting(5)) == Shooting(5)
    plan = steady(fast, grid, Shooting(3))
    assert plan.steps > 3
    energies = shoot(fast, grid, plan).energies
    assert float((energies / energies[0] - 1).abs().max()) < 0.005
    mapped = Shooting(3, form="map")
    assert steady(fast, grid, mapped) == mapped


def test_shooting_back_returns_and_both_maps_are_inverse():
    grid = kernel()
    path = shoot(smooth_momentum(grid, 3.0, 1), grid, Shooting(5), both=True)
    back = shoot(-path.momentum, grid, Shooting(5))
    for one, other in ((path.inverse, back.inverse), (path.inverse, path.forward)):
        assert float(compose(one, other).norm(dim=1).max()) < 0.15


def test_a_scaled_momentum_is_the_same_path_at_another_time():
    """EPDiff is homogeneous: half the momentum for one unit of time is half the time."""
    grid = kernel()
    momentum = smooth_momentum(grid, 3.0, 2)
    half = shoot(momentum / 2, grid, Shooting(5, "rk4"))
    whole = shoot(momentum, grid, Shooting(10, "rk4"))
    on = shoot(half.momentum, grid, Shooting(5, "rk4"))  # m scales too: m_t = s m(s t)
    torch.testing.assert_close(2 * on.momentum, whole.momentum, rtol=0, atol=2e-3)


def test_half_the_voxel_size_moves_points_by_the_same_millimetres():
    coarse = kernel(Gaussians((6.0,)), (16, 16, 16), (2.0, 2.0, 2.0))
    fine = kernel(Gaussians((6.0,)), (32, 32, 32), (1.0, 1.0, 1.0))
    momentum = smooth_momentum(coarse, 3.0, 3)
    dense = torch.nn.functional.interpolate(momentum, scale_factor=2, mode="trilinear")
    ends = [shoot(m, k, both=True).forward for m, k in ((momentum, coarse), (dense, fine))]
    millimetres = [ends[0] * 2, torch.nn.functional.avg_pool3d(ends[1], 2)]
    gap = (millimetres[0] - millimetres[1]).norm(dim=1).max()
    assert float(gap) < 0.05 * float(millimetres[0].norm(dim=1).max())


def test_coadjoint_of_a_scaling():
    """psi(x) = x / 2 about the middle: det 1/8, and another 1/2 from (D psi)^T."""
    shape = (17, 17, 17)
    points = torch.stack(torch.meshgrid(*[torch.arange(17.0)] * 3, indexing="ij"))[None].double()
    inverse = -(points - 8) / 2
    momentum = torch.ones(1, 3, *shape, dtype=torch.float64)
    carried = coadjoint(momentum, inverse, (1.0, 1.0, 1.0))
    torch.testing.assert_close(carried, momentum / 16)


@pytest.mark.parametrize("form", ["eulerian", "map"])
def test_the_gradient_is_that_of_the_discrete_energy(form):
    """Taylor: what the gradient leaves falls by four; a checkpoint changes nothing."""
    shape = (8, 8, 8)
    grid = kernel(Gaussians((1.5,)), shape)
    momentum = smooth_momentum(grid, 0.8, 5)
    target = torch.rand(1, 3, *shape, generator=torch.Generator().manual_seed(6)).double()
    direction = smooth_momentum(grid, 0.3, 7)

    def energy(m, recompute=False):
        path = shoot(m, grid, Shooting(3, form=form), recompute=recompute)
        return (path.inverse * target).sum() + 0.5 * path.energies[0].sum()

    leaf = momentum.clone().requires_grad_()
    (slope,) = torch.autograd.grad(energy(leaf), leaf)
    again = momentum.clone().requires_grad_()
    (checked,) = torch.autograd.grad(energy(again, True), again)
    torch.testing.assert_close(slope, checked, rtol=1e-10, atol=1e-12)
    first = energy(momentum)
    left = [
        abs(float(energy(momentum + h * direction) - first - h * (slope * direction).sum()))
        for h in (1e-3, 5e-4)
    ]
    assert 3.0 < left[0] / left[1] < 5.0
