"""Step networks held consistent: both directions, their terms, and their precision."""

import pytest
import torch

from pmrpipe.losses.consistency import Diffusion, GradientInverseConsistency
from pmrpipe.losses.similarity import SquaredDifference
from pmrpipe.methods.consistent import Consistent
from pmrpipe.methods.operators import Down, Halfway, Then
from pmrpipe.methods.steps import Displacement, Step, Velocity
from pmrpipe.networks.unet import StepUNet
from tests.helpers.parts import FLOW, batch, grid_of

SHAPE = (13, 10, 12)


def pair() -> tuple[torch.Tensor, torch.Tensor]:
    noise = torch.rand(2, 1, *SHAPE, generator=torch.Generator().manual_seed(0))
    return tuple(torch.nn.functional.avg_pool3d(noise, 3, 1, 1).split(1))


class Counted(StepUNet):
    """With weights as after some training, and the number of passes."""

    passes = 0

    def __init__(self) -> None:
        super().__init__([4, 4], [4, 4], normalise=True)
        torch.nn.init.normal_(self.flow.weight, std=0.01)

    def forward(self, moving, fixed):
        self.passes += 1
        return super().forward(moving, fixed)


def displacing() -> Consistent:
    torch.manual_seed(0)
    steps = [Down(Step(Counted(), Displacement()), 2), Step(Counted(), Displacement())]
    return Consistent(
        Then(steps), SquaredDifference(), {"inverse": GradientInverseConsistency(2.0)}
    )


def flowing() -> Consistent:
    torch.manual_seed(0)
    steps = [Step(Counted(), Velocity(FLOW)), Step(Counted(), Velocity(FLOW))]
    return Consistent(Halfway(steps), SquaredDifference(), {"smooth": Diffusion(1.0, "velocity")})


@torch.no_grad()
def test_the_way_back_is_what_the_steps_say_of_the_exchanged_images():
    method, fixed = displacing(), pair()[1]
    there, back = (method.register(*images, grid_of(fixed)) for images in (pair(), pair()[::-1]))
    assert torch.allclose(there.inverse().displacement, back.displacement, atol=1e-5)
    assert float(there.displacement.abs().max()) > 0.05
    assert there.inverse_consistency(fixed[0, 0] >= 0) > 0
    assert method.steps.steps[1].network.passes == 2


@torch.no_grad()
def test_steps_that_know_their_inverse_are_asked_once():
    method = flowing()
    deformation = method.register(*pair(), grid_of(pair()[0]))
    assert method.steps.steps[0].network.passes == 1
    inside = torch.zeros(SHAPE, dtype=torch.bool)
    inside[3:-3, 3:-3, 3:-3] = True
    assert deformation.inverse_consistency(inside) < 0.05


def test_the_objective_adds_both_directions_and_every_regulariser():
    method, (moving, fixed) = displacing(), pair()
    torch.manual_seed(1)
    terms = method.objective(batch(moving, fixed))
    deformation = method.deform(moving, fixed, grid_of(fixed))
    image = (deformation.apply(moving) - fixed).square().mean()
    back = (deformation.inverse().apply(fixed) - moving).square().mean()
    assert torch.isclose(terms["image"], image)
    assert torch.isclose(terms["image_back"], back)
    assert float(terms["inverse"].detach()) > 0
    assert torch.isclose(terms["total"], image + back + terms["inverse"])
    terms["total"].backward()
    assert all(p.grad is not None for p in method.parameters())


def test_of_velocities_both_are_smoothed_once():
    method, (moving, fixed) = flowing(), pair()
    terms = method.objective(batch(moving, fixed))
    velocities = {id(p): p.velocity for p in method.maps(moving, fixed)[0].parts()}
    assert len(velocities) == 2
    expected = sum(
        (v.diff(dim=axis) ** 2).mean() / 3 for v in velocities.values() for axis in (2, 3, 4)
    )
    assert torch.isclose(terms["smooth"], expected, rtol=1e-4)


@pytest.mark.parametrize("make", [displacing, flowing])
@torch.no_grad()
def test_half_precision_changes_the_networks_and_not_the_geometry(make):
    method, (moving, fixed) = make(), pair()
    exact = method.deform(moving, fixed, grid_of(fixed)).displacement
    method.precision = torch.bfloat16
    coarse = method.deform(moving, fixed, grid_of(fixed)).displacement
    assert coarse.dtype == torch.float32
    assert not torch.equal(exact, coarse)
    assert (exact - coarse).abs().mean() < 0.1 * exact.abs().mean()
