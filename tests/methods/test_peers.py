"""VoxelMorph-diff, FAIM and the authors' PMR: their objectives, term by term."""

import numpy as np
import pytest
import torch

from pmrpipe.images.volume import Grid
from pmrpipe.losses.variational import IMPLEMENTED, kullback_leibler
from pmrpipe.methods.load import build
from pmrpipe.methods.quicksilver import Quicksilver
from pmrpipe.methods.spec import names, spec
from pmrpipe.spatial.integrate import integrate
from pmrpipe.spatial.jacobian import jacobian_determinant
from pmrpipe.spatial.resize import resize_displacement
from pmrpipe.spatial.warp import warp
from tests.helpers.parts import batch, faim, grid_of, pmr_authors, voxelmorph

LEARNED = [name for name in names() if spec(name).learned and not name.endswith("-published")]
# Fresh ones are the identity, in any precision: tests/methods/test_consistent.py has their test.
BEGIN_SOMEWHERE = [n for n in LEARNED if not spec(n).component.endswith((":Consistent", ":NePhi"))]


def images(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    noise = torch.rand(2, 1, *shape, generator=draw)
    moving, fixed = torch.nn.functional.avg_pool3d(noise, 3, 1, 1).split(1)
    return moving, fixed


class Fixed(torch.nn.Module):
    """A network that always says the same."""

    def __init__(self, said):
        super().__init__()
        self.said = said

    def forward(self, moving, fixed):
        return self.said


@pytest.mark.parametrize("name", LEARNED)
def test_any_size_is_registered_and_comes_back(name):
    method = build(spec(name), network_mm=2.0).eval()
    moving, fixed = images(35, 30, 41)
    deformation = method.register(moving, fixed, Grid((35, 30, 41), np.eye(4)))
    inner = method.grid(Grid((35, 30, 41), np.eye(4)))
    if isinstance(method, Quicksilver):  # its geodesics are followed on a grid of their own
        inner = inner.rescaled(method.velocity_mm)
    assert deformation.grid == inner
    assert deformation.displacement.shape == (1, 3, *inner.shape)
    assert deformation.apply(moving).shape == fixed.shape
    again = method.register(moving, fixed, Grid((35, 30, 41), np.eye(4)))
    assert torch.equal(deformation.displacement, again.displacement)


@pytest.mark.parametrize("name", BEGIN_SOMEWHERE)
def test_half_precision_changes_little_and_geometry_stays_float32(name):
    method = build(spec(name), network_mm=None).eval()
    moving, fixed = images(32, 32, 32)
    with torch.no_grad():
        for parameter_name, parameter in method.network.named_parameters():
            if "mean" in parameter_name and parameter.dim() > 1:
                parameter.mul_(0.01 / parameter.std())
        exact = method.deform(moving, fixed, grid_of(fixed)).displacement
        method.precision = torch.bfloat16
        coarse = method.deform(moving, fixed, grid_of(fixed)).displacement
    assert coarse.dtype == torch.float32
    assert not torch.equal(exact, coarse)
    assert (exact - coarse).abs().mean() < 0.1 * exact.abs().mean()


def test_voxelmorph_minimises_equation_6():
    method = voxelmorph(image={"sigma": 0.1}, prior=7.0)
    moving, fixed = images(16, 16, 16)
    mean = torch.randn(1, 3, 8, 8, 8, generator=torch.Generator().manual_seed(1))
    logs = torch.full_like(mean, -30.0)
    method.network = Fixed((mean, logs))
    terms = method.objective(batch(moving, fixed))
    deformation = method.deform(moving, fixed, grid_of(fixed))
    displacement, velocity = deformation.displacement, deformation.parametrisation.velocity
    # With next to no variance the sample is the mean.
    residual = (fixed - warp(moving, displacement)).square().mean() / 0.01
    assert float(terms["image"]) == pytest.approx(float(residual), rel=1e-3)
    divergence = kullback_leibler(mean, logs, 7.0, IMPLEMENTED)
    assert torch.isclose(terms["total"], terms["image"] + sum(divergence.values()))
    assert torch.allclose(velocity.mean(), 2 * mean.mean(), atol=0.02)
    expected = resize_displacement(integrate(mean, 7), (16, 16, 16))
    assert torch.allclose(displacement, expected, atol=1e-5)


def test_faim_penalises_true_folds():
    """u_x = -1.5 x folds everywhere: det J = -0.5 in every voxel."""
    method = faim(window=3, smooth=2.0, fold=0.5)
    moving, fixed = images(8, 8, 8)
    field = torch.zeros(1, 3, 8, 8, 8)
    field[:, 0] = -1.5 * torch.arange(8.0).view(1, 8, 1, 1)
    method.network = Fixed(field)
    assert torch.allclose(jacobian_determinant(field), torch.tensor(-0.5))
    terms = method.objective(batch(moving, fixed))
    assert float(terms["fold"]) == pytest.approx(0.5 * 0.5 * 8**3)
    assert float(terms["smooth"]) == pytest.approx(2.0 * 1.5**2 / 9)
    assert torch.isclose(terms["total"], terms["image"] + terms["smooth"] + terms["fold"])


def test_the_authors_velocity_is_the_mean_of_repeated_latents():
    method = pmr_authors(base=8)
    moving, fixed = images(16, 16, 16)
    with torch.no_grad():
        for number, head in enumerate([*method.network.heads, method.network.last]):
            head.mean.weight.zero_()
            head.mean.bias.fill_(float(number))
    velocity = method.deform(moving, fixed, grid_of(fixed)).parametrisation.velocity
    # (0 + 1 + 2 + 3) / 4 at half resolution, twice as many voxels on the image's grid.
    assert torch.allclose(velocity, torch.tensor(3.0))


def test_the_authors_total_has_their_weights():
    method = pmr_authors(base=8)
    terms = method.objective(batch(*images(16, 16, 16)))
    expected = terms["image"] + terms["image_kl"]
    for level in (1, 2, 3):
        expected = expected + 0.5 * terms[f"feature_kl_{level}"] + terms[f"feature_{level}"]
    assert torch.isclose(terms["total"], expected)
