"""Steps and operators: affine steps, whose compositions are products of matrices."""

import pytest
import torch

from pmrpipe.methods.operators import Down, Halfway, Then
from pmrpipe.methods.steps import Displacement, Maps, Step, Velocity
from pmrpipe.networks.unet import StepUNet
from pmrpipe.spatial.integrate import ScalingAndSquaring
from pmrpipe.spatial.maps import Affine

SHAPE = (12, 10, 8)
SMALL = {"encoder": [4, 4], "decoder": [4, 4], "normalise": True}


def images(shape=SHAPE, seed=0) -> tuple[torch.Tensor, torch.Tensor]:
    noise = torch.rand(2, 1, *shape, generator=torch.Generator().manual_seed(seed))
    return tuple(torch.nn.functional.avg_pool3d(noise, 3, 1, 1).split(1))


class AffineStep(torch.nn.Module):
    """exp(N[A, B] - N[B, A]), N a matrix times the image's mean: consistent by construction."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.generator = torch.zeros(4, 4)
        noise = torch.randn(3, 4, generator=torch.Generator().manual_seed(seed))
        self.generator[:3] = noise * torch.tensor([0.2, 0.2, 0.2, 2.0])
        self.weight = torch.rand(SHAPE, generator=torch.Generator().manual_seed(9))
        self.seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def forward(self, moving, fixed) -> Maps:
        self.seen.append((moving, fixed))
        said = ((moving - fixed) * self.weight).mean() * 20 * self.generator
        return Maps(Affine(torch.linalg.matrix_exp(said)), Affine(torch.linalg.matrix_exp(-said)))


class Says(torch.nn.Module):
    """A step that always says the same."""

    def __init__(self, there, back=None) -> None:
        super().__init__()
        self.maps = Maps(there, back)

    def forward(self, moving, fixed) -> Maps:
        self.seen = moving, fixed
        return self.maps


def matrix(seed: int) -> torch.Tensor:
    whole = torch.eye(4)
    whole[:3] += 0.1 * torch.randn(3, 4, generator=torch.Generator().manual_seed(seed))
    return whole


def missed(one, other) -> float:
    """How far a point is from itself after both maps, at most, in voxels, within the grid."""
    x = torch.rand(1, 3, 100, generator=torch.Generator().manual_seed(5)) * 8
    return float((one.at(other.at(x)) - x).abs().max())


def test_then_is_the_first_map_after_the_second_and_the_second_sees_the_warped_image():
    p, q, (moving, fixed) = matrix(1), matrix(2), images()
    first, second = Says(Affine(p)), Says(Affine(q))
    maps = Then([first, second])(moving, fixed)
    x = torch.rand(1, 3, 20) * 8
    assert torch.allclose(maps.there.at(x), Affine(p @ q).at(x), atol=1e-5)
    assert torch.allclose(second.seen[0], Affine(p).apply(moving))
    assert second.seen[1] is fixed
    assert maps.back is None


def test_then_of_three_warps_the_original_once_for_each():
    p, q, (moving, fixed) = matrix(1), matrix(2), images()
    last = Says(Affine(torch.eye(4)))
    Then([Says(Affine(p)), Says(Affine(q)), last])(moving, fixed)
    assert torch.allclose(last.seen[0], Affine(p @ q).apply(moving), atol=1e-5)


def test_then_knows_its_inverse_where_its_steps_do():
    p, q = matrix(1), matrix(2)
    steps = [Says(Affine(m), Affine(m.inverse())) for m in (p, q)]
    maps = Then(steps)(*images())
    assert missed(maps.back, maps.there) < 1e-5


@pytest.mark.parametrize("shape", [(16, 12, 8), (13, 9, 7)])
def test_down_keeps_a_shift_in_mm(shape):
    """Half a voxel at a quarter of the resolution, where the sides divide 2 voxels."""

    class Half(torch.nn.Module):
        def forward(self, moving, fixed):
            self.shape = tuple(moving.shape[2:])
            return torch.full((1, 3, *self.shape), 0.5)

    network = Half()
    maps = Down(Step(network, Displacement()), 4)(*images(shape))
    assert network.shape == tuple(-(-n // 4) for n in shape)
    displacement = maps.there.on(shape, "cpu")
    zoom = torch.tensor([n / m for n, m in zip(shape, network.shape, strict=True)])
    assert torch.allclose(displacement, 0.5 * zoom.view(1, 3, 1, 1, 1), atol=1e-4)


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_halfway_of_consistent_steps_is_consistent_and_plain_then_is_not(depth):
    moving, fixed = images()
    steps = [AffineStep(seed) for seed in range(depth)]
    joined = Halfway(steps)
    ab, ba = joined(moving, fixed), joined(fixed, moving)
    assert missed(ab.there, ba.there) < 1e-5
    assert missed(ab.there, ab.back) < 1e-5
    assert float((ab.there.on(SHAPE, "cpu")).abs().max()) > 0.05
    plain = Then(steps)
    there, back = plain(moving, fixed).there, plain(fixed, moving).there
    assert missed(there, back) > 1e-2


def test_halfway_takes_the_first_map_as_the_root_and_moves_both_images():
    r, s, (moving, fixed) = matrix(1), matrix(2), images()
    inner = Says(Affine(s), Affine(s.inverse()))
    maps = Halfway([Says(Affine(r), Affine(r.inverse())), inner])(moving, fixed)
    x = torch.rand(1, 3, 20) * 8
    assert torch.allclose(maps.there.at(x), Affine(r @ s @ r).at(x), atol=1e-5)
    assert torch.allclose(inner.seen[0], Affine(r).apply(moving))
    assert torch.allclose(inner.seen[1], Affine(r.inverse()).apply(fixed))


def test_halfway_refuses_a_step_without_an_inverse():
    with pytest.raises(ValueError, match="no inverse"):
        Halfway([Says(Affine(torch.eye(4)))])(*images())


@torch.no_grad()
def test_a_velocity_goes_both_ways():
    torch.manual_seed(0)
    step = Step(StepUNet(**SMALL), Velocity(ScalingAndSquaring()))
    torch.nn.init.normal_(step.network.flow.weight, std=0.004)
    maps = step(*images())
    assert float(maps.there.on(SHAPE, "cpu").abs().max()) > 0.05
    inner = torch.rand(1, 3, 100) * 3 + 2.5
    assert float((maps.there.at(maps.back.at(inner)) - inner).abs().max()) < 0.01
    halfway = Halfway([Down(step, 2), step])(*images())
    assert float((halfway.there.at(halfway.back.at(inner)) - inner).abs().max()) < 0.02


@pytest.mark.parametrize("shape", [SHAPE, (13, 9, 7)])
def test_fresh_steps_are_the_identity_to_the_bit(shape):
    def step() -> Step:
        return Step(StepUNet(**SMALL), Displacement())

    maps = Then([Down(step(), 4), Down(step(), 2), step()])(*images(shape))
    assert not maps.there.on(shape, "cpu").any()
    assert not step()(*images(shape)).there.on(shape, "cpu").any()


def test_the_network_may_run_in_half_precision_and_its_map_does_not():
    step = Step(StepUNet(**SMALL), Displacement())
    torch.nn.init.normal_(step.network.flow.weight, std=0.1)
    with torch.autocast("cpu", torch.bfloat16):
        maps = step(*images())
    assert maps.there.displacement.dtype == torch.float32
