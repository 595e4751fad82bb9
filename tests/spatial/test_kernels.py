"""Kernels against closed forms: constants, plane waves, inverses, a direct convolution."""

from __future__ import annotations

import math

import pytest
import torch

from pmrpipe.spatial.kernels import Fluid, Gaussians, KernelOnGrid

SHAPE = (12, 10, 14)
FLUID = Fluid(0.02, 0.03, 0.004)


def on_grid(kernel, shape=SHAPE, spacing=(1.0, 1.0, 1.0)):
    return KernelOnGrid(kernel, shape, spacing, dtype=torch.float64)


def noise(seed=0, shape=SHAPE):
    return torch.randn(1, 3, *shape, generator=torch.Generator().manual_seed(seed)).double()


def plane_wave(component, axis, turns, shape=SHAPE):
    """cos(k x_axis) along one component, and k in radians a voxel."""
    k = 2 * math.pi * turns / shape[axis]
    values = torch.cos(k * torch.arange(shape[axis], dtype=torch.float64))
    field = torch.zeros(1, 3, *shape, dtype=torch.float64)
    field[:, component] = values.view([-1 if a == axis else 1 for a in range(3)])
    return field, k


def test_a_constant_momentum_is_divided_by_gamma():
    constant = torch.ones(1, 3, *SHAPE, dtype=torch.float64)
    velocity = on_grid(FLUID).smooth(constant)
    torch.testing.assert_close(velocity, constant / FLUID.gamma)


@pytest.mark.parametrize(("component", "stiffness"), [(1, 0.02), (0, 0.02 + 0.03)])
def test_plane_waves_across_and_along_their_direction(component, stiffness):
    wave, k = plane_wave(component, 0, 2)
    expected = wave / (stiffness * (2 - 2 * math.cos(k)) + FLUID.gamma)
    torch.testing.assert_close(on_grid(FLUID).smooth(wave), expected)


def test_a_power_of_the_operator_is_that_power_of_its_gain():
    wave, k = plane_wave(1, 0, 2)
    gain = 1 / (FLUID.alpha * (2 - 2 * math.cos(k)) + FLUID.gamma)
    twice = Fluid(FLUID.alpha, FLUID.beta, FLUID.gamma, 2)
    torch.testing.assert_close(on_grid(twice).smooth(wave), wave * gain**2)
    plain = Fluid(FLUID.alpha, 0.0, FLUID.gamma, 2)  # one number a frequency
    torch.testing.assert_close(on_grid(plain).smooth(wave), wave * gain**2)
    with pytest.raises(ValueError, match="positive alpha"):
        Fluid(power=0)


def test_voxels_of_another_size_divide_the_stiffness():
    wave, k = plane_wave(1, 0, 2)
    expected = wave / (FLUID.alpha * (2 - 2 * math.cos(k)) / 4 + FLUID.gamma)
    torch.testing.assert_close(on_grid(FLUID, spacing=(2.0, 1.0, 1.0)).smooth(wave), expected)


def test_sharpening_undoes_smoothing_and_roots_multiply():
    grid, field = on_grid(FLUID), noise()
    torch.testing.assert_close(grid.sharpen(grid.smooth(field)), field)
    torch.testing.assert_close(grid.root(grid.root(field)), grid.smooth(field))
    torch.testing.assert_close(grid.root(grid.unroot(field)), field)


@pytest.mark.parametrize("kernel", [FLUID, Gaussians((1.0, 2.0), (1.0, 3.0))])
def test_a_kernel_is_symmetric_and_positive(kernel):
    grid, one, other = on_grid(kernel), noise(1), noise(2)
    left, right = (one * grid.smooth(other)).sum(), (grid.smooth(one) * other).sum()
    torch.testing.assert_close(left, right)
    assert grid.energy(one) > 0


def test_gaussians_are_a_direct_convolution():
    kernel, shape = Gaussians((1.5, 1.1), (2.0, 1.0)), (12, 12, 12)
    field = noise(3, shape)
    away = torch.arange(-11, 12, dtype=torch.float64)
    expected = torch.zeros_like(field)
    for weight, deviation in zip(kernel.weights, kernel.deviations, strict=True):
        line = torch.exp(-0.5 * (away / deviation) ** 2)
        smooth = field
        for axis in range(3):
            taps = (line / line.sum()).view([1, 1] + [-1 if a == axis else 1 for a in range(3)])
            pad = [0] * 6
            pad[2 * (2 - axis)] = pad[2 * (2 - axis) + 1] = 11
            wide = torch.nn.functional.pad(smooth, pad).reshape(
                3, 1, *[n + (22 if a == axis else 0) for a, n in enumerate(shape)]
            )
            smooth = torch.nn.functional.conv3d(wide, taps).reshape(field.shape)
        expected += weight * smooth
    # A sampled Gaussian of 1.1 voxels differs a little from the exact one.
    torch.testing.assert_close(on_grid(kernel, shape).smooth(field), expected, rtol=0, atol=3e-3)


def test_the_far_side_of_the_grid_stays_still():
    """Padded against wrap-around: a momentum at one face moves nothing at the other."""
    grid = on_grid(Gaussians((2.0,)))
    momentum = torch.zeros(1, 3, *SHAPE, dtype=torch.float64)
    momentum[:, 0, 0] = 1.0
    velocity = grid.smooth(momentum)
    assert float(velocity[:, :, -1].abs().max()) < 1e-3 * float(velocity.abs().max())


def test_bad_sums_of_gaussians_are_refused():
    with pytest.raises(ValueError, match="positive deviations"):
        Gaussians((1.0, 2.0), (1.0,))
    with pytest.raises(ValueError, match="positive deviations"):
        Gaussians((0.0,))
