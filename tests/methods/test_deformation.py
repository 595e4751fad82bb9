"""Deformation: one map on any grid of its field of view."""

import numpy as np
import pytest
import torch

from pmrpipe.images.volume import Grid
from pmrpipe.methods.deformation import Deformation
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
    there = Deformation(integrate(velocity), FINE, velocity if with_velocity else None)
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
    found = Deformation(shift, COARSE, backward=-0.75 * shift)
    assert found.inverse_consistency(inside) == pytest.approx(1.0)
    assert torch.equal(found.inverse().inverse().displacement, shift)
    assert Deformation(shift, COARSE).inverse_consistency(inside) is None


def test_a_velocitys_inverse_is_consistent():
    velocity = waves(FINE, 2.0)
    found = Deformation(integrate(velocity), FINE, velocity)
    inside = torch.zeros(FINE.shape, dtype=torch.bool)
    inside[3:-3, 3:-3, 3:-3] = True
    assert 0 < found.inverse_consistency(inside) < 0.05
