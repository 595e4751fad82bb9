"""Maps of points: closed forms, and the warp of grids as their oracle."""

import pytest
import torch

from pmrpipe.spatial.integrate import ScalingAndSquaring, compose
from pmrpipe.spatial.maps import Affine, Composed, Flow, Pointwise, Resized, Sampled, composed
from pmrpipe.spatial.warp import identity_grid, sample, warp

SHAPE = (9, 8, 7)


def points(count: int = 50, seed: int = 0, margin: float = 2.0) -> torch.Tensor:
    """(1, 3, count) between the voxels of SHAPE, `margin` off its faces."""
    unit = torch.rand(1, 3, count, generator=torch.Generator().manual_seed(seed))
    last = torch.tensor(SHAPE).view(1, 3, 1) - 1
    return margin + unit * (last - 2 * margin)


def matrix(seed: int, size: float = 0.1) -> torch.Tensor:
    noise = torch.randn(3, 4, generator=torch.Generator().manual_seed(seed)) * size
    whole = torch.eye(4)
    whole[:3] += noise
    return whole


def affine_field(m: torch.Tensor, shape=SHAPE) -> torch.Tensor:
    return Affine(m).on(shape, "cpu")


def noise(seed: int, shape=SHAPE, channels: int = 3) -> torch.Tensor:
    return torch.randn(1, channels, *shape, generator=torch.Generator().manual_seed(seed))


def test_affine_maps_that_do_not_commute_are_composed_in_order():
    p, q, x = matrix(1), matrix(2), points()
    both = Composed(Affine(p), Affine(q)).at(x)
    assert torch.allclose(both, Affine(p @ q).at(x), atol=1e-5)
    assert not torch.allclose(both, Affine(q @ p).at(x), atol=1e-2)


def test_affine_fields_are_the_same_map_as_their_matrix():
    """Trilinear interpolation is exact for them, inside the grid."""
    m, x = matrix(1), points()
    assert torch.allclose(Sampled(affine_field(m)).at(x), Affine(m).at(x), atol=1e-5)


def test_a_sampled_map_on_its_own_grid_is_its_field_to_the_bit():
    field = noise(0)
    assert torch.equal(Sampled(field).on(SHAPE, "cpu"), field)


def test_composed_fields_on_the_grid_are_compose():
    outer, inner = noise(0), noise(1)
    both = Composed(Sampled(outer), Sampled(inner)).on(SHAPE, "cpu")
    assert torch.allclose(both, compose(outer, inner), atol=1e-5)


def test_integer_shifts_compose_without_interpolation():
    image, phi, psi = noise(0, channels=1), torch.zeros(1, 3, *SHAPE), torch.zeros(1, 3, *SHAPE)
    phi[:, 0], psi[:, 1] = 1, -2
    twice = Sampled(psi).apply(Sampled(phi).apply(image))
    # The image is moved by phi first: as a map of points phi comes last.
    once = Composed(Sampled(phi), Sampled(psi)).apply(image)
    assert torch.allclose(twice, once, atol=1e-5)


def test_three_maps_are_composed_from_the_outside_in():
    a, b, c, x = matrix(1), matrix(2), matrix(3), points()
    chain = composed(Affine(a), Affine(b), Affine(c))
    assert torch.allclose(chain.at(x), Affine(a @ b @ c).at(x), atol=1e-5)
    assert len(list(chain.parts())) == 3


def test_outside_the_grid_border_stays_constant_and_odd_goes_on():
    m = matrix(4)
    last = torch.tensor(SHAPE) - 1
    outside = torch.stack([-0.4 * last, 1.4 * last, torch.tensor([-2.0, 3, 9])], 1)[None]
    odd = Sampled(affine_field(m), "odd").at(outside)
    assert torch.allclose(odd, Affine(m).at(outside), atol=1e-5)
    border = Sampled(affine_field(m)).at(outside)
    assert not torch.allclose(border, Affine(m).at(outside), atol=1e-2)
    face = outside.clamp(min=0).minimum(last.view(1, 3, 1))
    assert torch.allclose(border - outside, Affine(m).at(face) - face, atol=1e-5)


def test_odd_extrapolation_changes_nothing_inside():
    field, x = noise(0), points(margin=0)
    assert torch.allclose(Sampled(field, "odd").at(x), Sampled(field).at(x), atol=1e-5)
    with pytest.raises(ValueError, match="unknown extrapolation"):
        Sampled(field, "zeros")


def test_a_shift_in_mm_is_the_same_on_a_resized_grid_of_odd_size():
    """3 mm at 4 mm voxels are 3 voxels of 1 mm, where sizes divide."""
    coarse = torch.full((1, 3, 4, 3, 5), 0.75)
    fine = Resized(Sampled(coarse), (4, 3, 5), (16, 12, 20)).on((16, 12, 20), "cpu")
    assert torch.allclose(fine, torch.tensor(3.0), atol=1e-5)


def test_resized_there_and_back_is_the_same_function():
    inner, x = Sampled(noise(0)), points()
    other = (5, 7, 11)
    again = Resized(Resized(inner, SHAPE, other), other, SHAPE)
    assert torch.allclose(again.at(x), inner.at(x), atol=1e-5)


def test_pointwise_is_its_function_at_any_shape_of_points():
    x = points().reshape(1, 3, 5, 10)
    assert torch.equal(Pointwise(lambda p: 2 * p).at(x), 2 * x)
    assert Sampled(noise(0)).at(x).shape == x.shape


def test_batches_of_maps_and_of_points_stand_for_one_another():
    x, fields = points(), torch.cat([noise(0), noise(1)])
    both = Sampled(fields).at(x)
    assert both.shape == (2, 3, 50)
    assert torch.allclose(both[1:], Sampled(fields[1:]).at(x))
    many = torch.cat([x, x + 0.1])
    assert torch.allclose(Sampled(noise(0)).at(many)[1:], Sampled(noise(0)).at(x + 0.1), atol=1e-6)
    assert Affine(torch.stack([matrix(0), matrix(1)])).on(SHAPE, "cpu").shape == (2, 3, *SHAPE)


def test_under_autocast_maps_stay_float32():
    chain = Composed(Sampled(noise(0).bfloat16()), Affine(matrix(1)))
    exact = chain.at(points())
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(chain.at(points()), exact)
        assert chain.apply(noise(2, channels=1)).dtype == torch.float32
    assert exact.dtype == torch.float32
    assert chain.at(points().double()).dtype == torch.float64


def test_a_flow_keeps_its_velocity_and_is_its_exponential():
    velocity = torch.zeros(1, 3, *SHAPE)
    velocity[:, 2] = 0.75
    flow = Flow.of(velocity, ScalingAndSquaring(4))
    assert torch.allclose(flow.on(SHAPE, "cpu"), velocity, atol=1e-6)
    (part,) = Resized(flow, SHAPE, SHAPE).parts()
    assert torch.equal(part.velocity, velocity)


@pytest.mark.parametrize("threads", [1, 2])
def test_sampling_at_the_voxels_moved_by_a_field_is_the_warp(threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        image, field = noise(0, channels=2), noise(1)
        moved = identity_grid(SHAPE, image.device, image.dtype) + field
        assert torch.allclose(sample(image, moved), warp(image, field, padding="border"), atol=1e-5)
    finally:
        torch.set_num_threads(before)


def test_gradients_reach_every_field_of_a_composition():
    outer, inner = noise(0).requires_grad_(), noise(1).requires_grad_()
    Composed(Sampled(outer), Sampled(inner, "odd")).at(points()).square().mean().backward()
    assert outer.grad.abs().max() > 0
    assert inner.grad.abs().max() > 0


def test_a_part_of_the_batch_is_the_map_of_it():
    """Of every kind of map but a function of points, which cannot be split."""
    draw = torch.Generator().manual_seed(0)
    velocity = torch.randn(3, 3, 4, 5, 6, generator=draw)
    flow = Flow.of(velocity, ScalingAndSquaring(4))
    matrices = torch.eye(4) + 0.1 * torch.randn(3, 4, 4, generator=draw)
    whole = composed(Resized(flow, (4, 5, 6), (8, 10, 12)), Affine(matrices), Sampled(velocity))
    points = 4 * torch.rand(3, 3, 20, generator=draw)
    part = slice(1, 3)
    assert torch.equal(whole.take(part).at(points[part]), whole.at(points)[part])
    assert [p.velocity.shape[0] for p in whole.take(part).parts() if isinstance(p, Flow)] == [2]
    one = Affine(torch.eye(4))
    assert torch.equal(one.take(part).at(points), points)
    with pytest.raises(TypeError, match="cannot be split"):
        Pointwise(lambda p: p).take(part)


@torch.no_grad()
def test_along_their_own_ways_points_follow_the_flow_and_come_back():
    """A rotation about the centre by a velocity that is linear, so that trilinear is exact."""
    grid = identity_grid((16, 16, 16), torch.device("cpu"), torch.float64)
    x, y, _ = (grid - 7.5).unbind(1)
    velocity = 0.5 * torch.stack([-y, x, torch.zeros_like(x)], 1)
    there, back = (Flow(v, velocity=v, along=16) for v in (velocity, -velocity))
    points = 7.5 + 3 * (torch.rand(1, 3, 50, dtype=torch.float64) - 0.5)
    turn = torch.linalg.matrix_exp(torch.tensor([[0, -0.5, 0], [0.5, 0, 0], [0, 0, 0.0]]))
    expected = 7.5 + turn.double() @ (points - 7.5)
    assert torch.allclose(there.at(points), expected, atol=2e-3)
    assert torch.allclose(back.at(there.at(points)), points, atol=1e-3)
    with torch.enable_grad():  # Then the field is interpolated, here v itself: no rotation.
        assert torch.allclose(there.at(points), points + turn_rate(points), atol=1e-6)


def turn_rate(points: torch.Tensor) -> torch.Tensor:
    x, y, _ = (points - 7.5).unbind(1)
    return 0.5 * torch.stack([-y, x, torch.zeros_like(x)], 1)
