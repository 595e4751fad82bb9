"""Consistency by construction: equal images stay, exchanged ones invert, whatever the weights."""

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from pmrpipe.losses.similarity import SquaredDifference
from pmrpipe.methods.consistent import Consistent
from pmrpipe.methods.operators import Down, Halfway, Then
from pmrpipe.methods.steps import AffineGenerator, Step, Velocity
from pmrpipe.networks.antisymmetric import AffineNetwork, Antisymmetric
from pmrpipe.networks.tall_unet import TallUNet
from pmrpipe.spatial.integrate import ScalingAndSquaring
from pmrpipe.spatial.warp import identity_grid
from tests.helpers.parts import grid_of

SHAPE = (20, 17, 18)


def images(shape=SHAPE, seed=0) -> tuple[torch.Tensor, torch.Tensor]:
    noise = torch.rand(2, 1, *shape, generator=torch.Generator().manual_seed(seed))
    return tuple(torch.nn.functional.avg_pool3d(noise, 3, 1, 1).split(1))


def affine_step(size: float = 3.0, **options) -> Step:
    network = AffineNetwork([4, 8, 8], 10, window=3, **options)
    torch.nn.init.normal_(network.last.weight, std=size)
    return Step(Antisymmetric(network), AffineGenerator())


def velocity_step() -> Step:
    network = TallUNet([4, 8, 8], [8, 4, 4], norm="instance", window=3)
    torch.nn.init.normal_(network.flow.weight, std=0.01)
    return Step(Antisymmetric(network), Velocity(ScalingAndSquaring(), along=4))


def constricon() -> Consistent:
    torch.manual_seed(0)
    steps = [affine_step(), affine_step(), Down(velocity_step(), 2), velocity_step()]
    return Consistent(Halfway(steps), SquaredDifference())


def test_the_published_affine_network_has_as_many_parameters():
    with torch.device("meta"):
        assert sum(p.numel() for p in AffineNetwork().parameters()) == 4_873_368


def test_an_image_and_itself_are_left_where_they_are_to_the_bit():
    moving, fixed = images()
    method = constricon()
    deformation = method.register(moving, moving, grid_of(moving))
    assert not deformation.displacement.any()
    assert not deformation.inverse().displacement.any()
    assert float(method.register(moving, fixed, grid_of(moving)).displacement.abs().max()) > 0.3


def test_exchanging_the_images_exchanges_the_maps_to_the_bit():
    moving, fixed = images()
    method = constricon()
    there, back = (
        method.register(*pair, grid_of(moving)) for pair in ((moving, fixed), (fixed, moving))
    )
    assert torch.equal(there.inverse().displacement, back.displacement)
    assert torch.equal(back.inverse().displacement, there.displacement)
    assert torch.equal(there.inverse().inverse().displacement, there.displacement)


@torch.no_grad()
def test_a_point_comes_back_through_the_maps_as_functions():
    moving, fixed = images()
    there, back = constricon().maps(moving, fixed)
    inner = torch.rand(1, 3, 500, generator=torch.Generator().manual_seed(1)) * 8 + 5
    missed = there.at(back.at(inner)) - inner
    assert float((back.at(inner) - inner).abs().mean()) > 0.1
    assert float(missed.square().sum(1).sqrt().mean()) < 0.002
    with torch.enable_grad():  # Interpolated displacements close less well.
        rough = there.at(back.at(inner)) - inner
    assert float(rough.square().sum(1).sqrt().mean()) > 0.01


@torch.no_grad()
def test_plain_composition_of_the_same_steps_is_not_consistent():
    moving, fixed = images()
    torch.manual_seed(0)
    steps = [affine_step(), affine_step()]
    inner = torch.rand(1, 3, 500, generator=torch.Generator().manual_seed(1)) * 8 + 5

    def missed(joined) -> float:
        ab, ba = joined(moving, fixed).there, joined(fixed, moving).there
        return float((ab.at(ba.at(inner)) - inner).abs().max())

    assert missed(Halfway(steps)) < 1e-4
    assert missed(Then(steps)) > 1e-2


@torch.no_grad()
def test_an_affine_generator_is_exponentiated_as_scipy_does():
    said = torch.zeros(1, 4, 4, dtype=torch.float64)
    said[0, :3] = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    maps = AffineGenerator()(said)
    expected = expm(said[0].numpy())
    assert np.abs(maps.there.matrix[0].numpy() - expected).max() < 1e-10
    assert float(torch.linalg.det(maps.there.matrix[0, :3, :3])) == pytest.approx(
        float(said[0, :3, :3].trace().exp())
    )
    points = torch.rand(1, 3, 50, dtype=torch.float64)
    assert torch.allclose(maps.there.at(maps.back.at(points)), points, atol=1e-10)


@torch.no_grad()
def test_a_linear_generator_leaves_the_centre_of_the_grid_in_place():
    network = AffineNetwork([4], 4)
    torch.nn.init.constant_(network.last.bias[:3], 0.3)
    network.last.bias.data[3] = 0.5
    matrix = AffineGenerator()(network(*images())).there
    network.last.bias.data[3] = 0.0
    still = AffineGenerator()(network(*images())).there
    centre = torch.tensor([(n - 1) / 2 for n in SHAPE]).view(1, 3, 1)
    assert torch.allclose(still.at(centre), centre, atol=1e-4)
    assert float((still.at(centre + 1) - centre - 1).abs().max()) > 0.1
    assert float((matrix.at(centre) - still.at(centre)).abs().max()) > 0.1


def test_a_skew_generator_is_rodrigues_rotation():
    axis, angle = torch.tensor([1.0, 2.0, 2.0], dtype=torch.float64) / 3, 0.7
    x, y, z = axis
    skew = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
    said = torch.zeros(1, 4, 4, dtype=torch.float64)
    said[0, :3, :3] = angle * skew
    expected = torch.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew
    assert torch.allclose(AffineGenerator()(said).there.matrix[0, :3, :3], expected)


@torch.no_grad()
def test_a_rigid_network_gives_a_rotation():
    torch.manual_seed(0)
    step = affine_step(size=300.0, rigid=True)
    matrix = step(*images()).there.matrix[0]
    turn = matrix[:3, :3]
    assert torch.allclose(turn @ turn.T, torch.eye(3), atol=1e-5)
    assert float((turn - torch.eye(3)).abs().max()) > 0.01


@torch.no_grad()
def test_a_constant_velocity_is_a_translation():
    velocity = torch.tensor([1.5, -0.5, 2.0]).view(1, 3, 1, 1, 1).expand(1, 3, 8, 8, 8)
    maps = Velocity(ScalingAndSquaring())(velocity)
    points = identity_grid((8, 8, 8), torch.device("cpu"), torch.float32)
    assert torch.allclose(maps.there.on((8, 8, 8), "cpu"), velocity, atol=1e-6)
    assert torch.allclose(maps.back.at(maps.there.at(points)), points, atol=1e-5)


@torch.no_grad()
def test_the_round_trip_of_a_smooth_velocity_closes_with_more_squarings_and_a_finer_grid():
    """In parts of the edge: 1e-4 and better at 7 squarings on 32 voxels."""

    def missed(squarings: int, size: int) -> float:
        p = (identity_grid((size,) * 3, torch.device("cpu"), torch.float64) + 0.5) / size
        bump = torch.sin(torch.pi * p).prod(1, keepdim=True).square()
        turned = torch.stack([p[:, 1] - 0.5, 0.5 - p[:, 0], 0.3 * torch.cos(3 * p[:, 0])], 1)
        maps = Velocity(ScalingAndSquaring(squarings))(0.3 * size * bump * turned)
        x = torch.rand(1, 3, 2000, generator=torch.Generator().manual_seed(0)).double()
        x = (0.2 + 0.6 * x) * size - 0.5
        return float((maps.there.at(maps.back.at(x)) - x).abs().mean()) / size

    assert missed(7, 32) < 1e-4
    assert missed(7, 32) < 0.5 * missed(3, 32)
    assert missed(7, 32) < 0.5 * missed(7, 16)
