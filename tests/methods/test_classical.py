"""ANTs SyN behind the interface: its field in our frame, and its own inverse."""

import numpy as np
import torch

from pmrpipe.images.volume import Grid
from pmrpipe.methods.classical import AffineOnly, AntsSyN

SHAPE = (32, 36, 28)


def oblique_grid() -> Grid:
    """Mirrored, turned, and 2 mm."""
    turn, angle = np.eye(3), np.deg2rad(20)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-2.0, 2.0, 2.0])
    return Grid(SHAPE, affine)


def ellipsoid(shift: float, width: float) -> torch.Tensor:
    """A smooth ellipsoid with a core, `shift` voxels off along x."""
    axes = [torch.arange(n) - (n - 1) / 2 for n in SHAPE]
    x, y, z = torch.meshgrid(*axes, indexing="ij")
    radius = (((x - shift) / width) ** 2 + (y / 11) ** 2 + (z / 9) ** 2).sqrt()
    image = torch.sigmoid((1 - radius) * 12) * (0.6 + 0.4 * torch.sigmoid((0.5 - radius) * 12))
    return image[None, None].float()


def test_syn_brings_the_moving_image_onto_the_fixed_one():
    moving, fixed = ellipsoid(1.5, 8), ellipsoid(-1.0, 10)
    deformation = AntsSyN().register(moving, fixed, oblique_grid())
    before, after = ((image - fixed).abs().mean() for image in (moving, deformation.apply(moving)))
    assert after < 0.3 * before
    assert deformation.jacobian().min() > 0
    inside = fixed[0, 0] > 0.3
    assert deformation.inverse_consistency(inside) < 0.2
    back = (deformation.inverse().apply(fixed) - moving).abs().mean()
    assert back < 0.3 * before


def test_affine_alone_moves_nothing():
    deformation = AffineOnly().register(ellipsoid(1, 8), ellipsoid(0, 9), oblique_grid())
    assert not deformation.displacement.any()
    assert deformation.inverse_consistency(torch.ones(SHAPE, dtype=torch.bool)) is None
