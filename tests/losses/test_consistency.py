"""ICON and GradICON: closed forms, the exact Jacobian, and what only jitter sees."""

import math

import pytest
import torch

from pmrpipe.losses.consistency import (
    Diffusion,
    GradientInverseConsistency,
    InverseConsistency,
    gradient_inverse_consistency,
    inverse_consistency,
    jittered,
)
from pmrpipe.spatial.integrate import ScalingAndSquaring
from pmrpipe.spatial.maps import Affine, Composed, Flow, Pointwise, Sampled, composed

SHAPE = (10, 9, 8)
IMAGE = torch.zeros(1, 1, *SHAPE)


def matrix(seed: int) -> torch.Tensor:
    whole = torch.eye(4)
    whole[:3] += 0.1 * torch.randn(3, 4, generator=torch.Generator().manual_seed(seed))
    return whole


def shift(x: float, y: float, z: float) -> Affine:
    whole = torch.eye(4)
    whole[:3, 3] = torch.tensor([x, y, z])
    return Affine(whole)


def smooth(seed: int, size: float = 1.0) -> torch.Tensor:
    field = torch.randn(1, 3, *SHAPE, generator=torch.Generator().manual_seed(seed))
    return size * torch.nn.functional.avg_pool3d(field, 3, 1, 1)


@pytest.mark.parametrize("step", [1e-2, 0.5, 3.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_gradicon_of_affine_maps_is_the_frobenius_norm_wherever_it_looks(seed, step):
    p, q = matrix(1), matrix(2)
    points = jittered(SHAPE, 2, 2.0, torch.Generator().manual_seed(seed))
    value = gradient_inverse_consistency(Affine(p), Affine(q), points.double(), step)
    expected = ((p @ q)[:3, :3] - torch.eye(3)).square().sum() / 3
    assert float(value) == pytest.approx(float(expected), rel=1e-5)


def test_gradicon_of_a_sine_wave():
    """a^2 * 2 sin^2(pi d) / d^2 / 3 for x + a sin(2 pi x) and the step d."""
    amplitude, step = 0.3, 0.1
    wave = Pointwise(
        lambda p: p + amplitude * torch.sin(2 * math.pi * p) * torch.tensor([1.0, 0, 0])[:, None]
    )
    points = torch.rand(1, 3, 200_000, generator=torch.Generator().manual_seed(0))
    value = gradient_inverse_consistency(wave, shift(0, 0, 0), points.double(), step)
    expected = amplitude**2 * 2 * math.sin(math.pi * step) ** 2 / step**2 / 3
    assert float(value) == pytest.approx(expected, rel=0.01)


def test_gradicon_is_the_exact_jacobian_of_the_composed_map():
    """Between the kinks of trilinear interpolation, in float64, by automatic differentiation."""
    ab, ba = Sampled(smooth(0).double()), Sampled(smooth(1).double())
    generator = torch.Generator().manual_seed(2)
    points = 2 + 4 * torch.rand(1, 3, 30, generator=generator, dtype=torch.float64)
    both = Composed(ab, ba)
    total = 0.0
    for point in points[0].T:
        jacobian = torch.autograd.functional.jacobian(
            lambda x: both.at(x.view(1, 3, 1)).view(3), point
        )
        total += float((jacobian - torch.eye(3)).square().sum()) / 3
    value = gradient_inverse_consistency(ab, ba, points, 1e-6)
    assert float(value) == pytest.approx(total / 30, rel=1e-3)


def test_translations_are_free_for_gradicon_and_not_for_icon():
    first, second = shift(1.0, -2.0, 0.5), shift(0.25, 0.5, 1.0)
    points = jittered(SHAPE, generator=torch.Generator().manual_seed(0))
    assert float(gradient_inverse_consistency(first, second, points, 0.1)) < 1e-8
    squared = 1.25**2 + 1.5**2 + 1.5**2
    assert float(inverse_consistency(first, second, points)) == pytest.approx(2 * squared / 3)
    assert float(inverse_consistency(first, shift(-1.0, 2.0, -0.5), points)) < 1e-10


def test_a_wiggle_that_vanishes_at_the_voxels_is_seen_by_jitter_alone():
    wiggle = Pointwise(lambda p: p + 0.2 * torch.sin(math.pi * p))
    still = shift(0, 0, 0)
    generator = torch.Generator().manual_seed(0)
    blind, seeing = (jittered(SHAPE, 1, deviation, generator) for deviation in (0.0, 1.0))
    assert float(inverse_consistency(wiggle, still, blind)) < 1e-10
    assert float(inverse_consistency(wiggle, still, seeing)) > 1e-2


def test_half_precision_around_it_does_not_touch_the_penalty():
    ab, ba = Sampled(smooth(0)), Sampled(smooth(1))
    points = jittered(SHAPE, generator=torch.Generator().manual_seed(0))
    exact = float(gradient_inverse_consistency(ab, ba, points, 0.1))
    with torch.autocast("cpu", torch.bfloat16):
        again = float(gradient_inverse_consistency(ab, ba, points, 0.1))
    assert again == pytest.approx(exact, rel=1e-4)


def test_points_are_every_second_voxel_and_repeat_with_their_generator():
    first, again = (jittered((9, 8, 7), 2, 0.5, torch.Generator().manual_seed(1)) for _ in "12")
    assert first.shape == (1, 3, 5, 4, 4)
    assert torch.equal(first, again)
    assert torch.equal(jittered((4, 4, 4), 2, 0.0)[0, :, 1, 0, 1], torch.tensor([2.0, 0, 2]))
    torch.manual_seed(0)
    assert not torch.equal(jittered(SHAPE), jittered(SHAPE))


def test_parts_weigh_what_their_functions_say():
    first, second = shift(1, 0, 0), shift(0, 0, 0)
    assert float(InverseConsistency(weight=3.0)(first, second, IMAGE)) == pytest.approx(2.0)
    p, q = Affine(matrix(1)), Affine(matrix(2))
    one, two = (GradientInverseConsistency(weight=w, step=0.5)(p, q, IMAGE) for w in (1, 2))
    assert float(two) == pytest.approx(2 * float(one), rel=1e-3)


def test_diffusion_counts_every_velocity_once():
    """u_x = x / 10: one squared slope of 0.01 in nine, over a third of the axes."""
    velocity = torch.zeros(1, 3, *SHAPE)
    velocity[:, 0] = 0.1 * torch.arange(10.0).view(10, 1, 1)
    flow = Flow.of(velocity, ScalingAndSquaring(2))
    there = composed(flow, Sampled(smooth(0)), flow)
    value = Diffusion(weight=9.0, of="velocity")(there, flow, IMAGE)
    assert float(value) == pytest.approx(0.01, rel=1e-4)
    assert float(Diffusion(9.0)(Sampled(velocity), flow, IMAGE)) == pytest.approx(0.01, rel=1e-4)
