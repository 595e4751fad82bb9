"""Deformation: one map on any grid of its field of view."""

import numpy as np
import pytest
import torch

from pmrpipe.images.volume import Grid
from pmrpipe.methods.deformation import ConsistentPair, Deformation, StationaryVelocity
from pmrpipe.spatial.integrate import integrate
from pmrpipe.spatial.warp import warp

FINE = Grid((24, 20, 16), np.eye(4))
COARSE = FINE.rescaled(2.0)


def waves(grid: Grid, size: float) -> torch.Tensor:
    """A smooth displacement in voxels of `grid`, `size` mm high, zero on the faces."""
    axes = [torch.sin(torch.pi * (torch.arange(n) + 0.5) / n) for n in grid.shape]
    bump = torch.einsum("x,y,z->xyz", *axes)
    return torch.stack([bump, -bump, 0.5 * bump])[None] * size / grid.spacing[0]


def test_a_constant_shift_is_the_same_length_on_every_grid():
    shift = torch.zeros(1, 3, *COARSE.shape)
    shift[:, 1] = 1.5
    fine = Deformation(shift, COARSE).resampled(FINE)
    assert fine.grid == FINE
    assert torch.allclose(fine.displacement[:, 1], torch.tensor(3.0))


def test_a_coarse_deformation_warps_a_fine_image():
    image = torch.rand(1, 1, *FINE.shape, generator=torch.Generator().manual_seed(0))
    image = torch.nn.functional.avg_pool3d(image, 5, 1, 2)
    coarse = Deformation(waves(COARSE, 2.0), COARSE).apply(image)
    assert coarse.shape == image.shape
    assert (coarse - warp(image, waves(FINE, 2.0)))[..., 3:-3, 3:-3, 3:-3].abs().max() < 0.02


@pytest.mark.parametrize("with_velocity", [True, False])
def test_the_inverse_undoes_it(with_velocity):
    velocity = waves(FINE, 2.0)
    there = Deformation(
        integrate(velocity), FINE, StationaryVelocity(velocity) if with_velocity else None
    )
    both = there.after(there.inverse()).displacement
    assert both[..., 3:-3, 3:-3, 3:-3].abs().max() < 0.05


def test_the_determinant_is_that_of_the_map():
    field = torch.zeros(1, 3, *FINE.shape)
    field[:, 0] = 0.25 * torch.arange(24.0).view(1, 24, 1, 1)
    assert torch.allclose(Deformation(field, FINE).jacobian(), torch.tensor(1.25), atol=1e-5)


def test_inverse_consistency_is_the_distance_by_which_points_miss_themselves():
    """There 2 voxels of 2 mm, back 1.5: every point misses itself by 1 mm."""
    shift = torch.zeros(1, 3, *COARSE.shape)
    shift[:, 1] = 2.0
    inside = torch.ones(COARSE.shape, dtype=torch.bool)
    deformation = Deformation(shift, COARSE, ConsistentPair(-0.75 * shift))
    assert deformation.inverse_consistency(inside) == pytest.approx(1.0)
    assert torch.equal(deformation.inverse().inverse().displacement, shift)
    assert Deformation(shift, COARSE).inverse_consistency(inside) is None


def test_a_velocitys_inverse_is_consistent():
    velocity = waves(FINE, 2.0)
    deformation = Deformation(integrate(velocity), FINE, StationaryVelocity(velocity))
    inside = torch.zeros(FINE.shape, dtype=torch.bool)
    inside[3:-3, 3:-3, 3:-3] = True
    assert 0 < deformation.inverse_consistency(inside) < 0.05


def test_millimetres_and_back_on_an_oblique_grid():
    """One voxel along an axis is the affine's column of that axis."""
    turn = np.array([[0, -2.0, 0, 5], [3.0, 0, 0, -7], [0, 0, 1.5, 2], [0, 0, 0, 1]])
    grid = Grid((5, 4, 3), turn)
    for axis in range(3):
        step = torch.zeros(1, 3, 5, 4, 3)
        step[:, axis] = 1
        deformation = Deformation(step, grid)
        assert np.allclose(deformation.millimetres(), turn[:3, axis])
    field = np.random.default_rng(0).normal(size=(5, 4, 3, 3)).astype(np.float32)
    again = Deformation.from_millimetres(field, grid, -field)
    assert np.allclose(again.millimetres(), field, atol=1e-6)
    assert np.allclose(again.inverse().millimetres(), -field, atol=1e-6)


def test_a_map_after_another_is_that_of_the_points():
    """Affine displacements: what P and Q do to x is P(Q x)."""
    x = torch.stack(torch.meshgrid(*[torch.arange(float(n)) for n in FINE.shape], indexing="ij"))
    centre = torch.tensor([11.5, 9.5, 7.5]).view(3, 1, 1, 1)
    turn = torch.tensor([[0.95, -0.1, 0], [0.1, 0.95, 0], [0, 0, 0.9]])
    shift = torch.tensor([0.5, -0.3, 0.2]).view(3, 1, 1, 1)
    outer = (torch.einsum("ij,jxyz->ixyz", turn, x - centre) + centre - x)[None]
    inner = shift.expand_as(outer)
    both = Deformation(outer, FINE).after(Deformation(inner, FINE)).displacement
    expected = torch.einsum("ij,jxyz->ixyz", turn, x + shift - centre) + centre - x
    assert torch.allclose(both[0, :, 2:-2, 2:-2, 2:-2], expected[:, 2:-2, 2:-2, 2:-2], atol=1e-4)


def test_a_composite_keeps_its_own_inverse_on_any_grid():
    first, second = (
        Deformation(integrate(v), FINE, StationaryVelocity(v))
        for v in (waves(FINE, 2.0), waves(FINE, -1.0).flip(1))
    )
    both = first.after(second)
    inside = torch.zeros(FINE.shape, dtype=torch.bool)
    inside[4:-4, 4:-4, 4:-4] = True
    assert 0 < both.inverse_consistency(inside) < 0.1
    coarse = both.resampled(COARSE)
    assert coarse.inverse_consistency(inside[::2, ::2, ::2]) < 0.1
    assert first.after(Deformation(waves(FINE, 1.0), FINE)).parametrisation is None


def test_gradients_flow_through_a_composite_and_a_warp():
    velocity = waves(FINE, 1.0).requires_grad_()
    there = Deformation(integrate(velocity), FINE, StationaryVelocity(velocity))
    image = torch.rand(1, 1, *FINE.shape, generator=torch.Generator().manual_seed(0))
    there.after(there).apply(image).square().mean().backward()
    assert velocity.grad.abs().max() > 0
