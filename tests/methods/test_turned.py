"""Random turns inside a registration, and fields that go on as they are outside their grid."""

import pytest
import torch

from pmrpipe.methods.operators import Then
from pmrpipe.methods.steps import Displacement, Maps, Step
from pmrpipe.methods.turned import Turned
from pmrpipe.spatial.maps import Affine, Sampled
from pmrpipe.spatial.warp import identity_grid

SHAPE = (12, 10, 11)


def images(pairs: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    noise = torch.rand(2 * pairs, 1, *SHAPE, generator=torch.Generator().manual_seed(0))
    return tuple(torch.nn.functional.avg_pool3d(noise, 3, 1, 1).split(pairs))


class Sees(torch.nn.Module):
    """A step that keeps what it saw and leaves every point where it is."""

    def forward(self, moving, fixed) -> Maps:
        self.seen = moving, fixed
        still = Affine(torch.eye(4).expand(moving.shape[0], 4, 4))
        return Maps(still, still)


def test_in_use_it_is_the_step_alone():
    step = Sees()
    turned = Turned(step).eval()
    pair = images()
    maps = turned(*pair)
    assert step.seen[0] is pair[0]
    points = torch.rand(1, 3, 10)
    assert torch.equal(maps.there.at(points), points)


@torch.no_grad()
def test_the_map_is_turned_back():
    """A step that finds nothing: what is left is R ∘ S^-1, of the turns that it saw."""
    step, (moving, fixed) = Sees(), images()
    torch.manual_seed(1)
    maps = Turned(step, spread=0.5)(moving, fixed)
    matrix = maps.there.at(identity_grid((2, 2, 2), torch.device("cpu"), torch.float32))
    assert not torch.allclose(step.seen[0], moving)
    points = 10 * torch.rand(1, 3, 50, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(maps.back.at(maps.there.at(points)), points, atol=1e-4)
    assert matrix.shape == (1, 3, 2, 2, 2)
    # Rigid about the centre: lengths stay, and so does the middle.
    centre = (torch.tensor(SHAPE) - 1).view(1, 3, 1) / 2
    there = maps.there.at(points)
    assert torch.allclose(maps.there.at(centre), centre, atol=1e-4)
    for ends in (there, points):
        ends -= centre
    assert torch.allclose(there.norm(dim=1), points.norm(dim=1), atol=1e-4)


@torch.no_grad()
def test_both_directions_see_each_image_turned_alike():
    step, (moving, fixed) = Sees(), images(2)
    torch.manual_seed(1)
    maps = Turned(step, spread=0.5, noise=0.01).both(moving, fixed)
    a_and_b, b_and_a = step.seen
    assert torch.equal(b_and_a, a_and_b.roll(2, 0))
    assert not torch.allclose(a_and_b[0], a_and_b[1])
    points = 10 * torch.rand(1, 3, 50)
    there, back = (maps.there.take(part) for part in (slice(0, 2), slice(2, 4)))
    assert torch.allclose(back.at(there.at(points)), points.expand(2, -1, -1), atol=1e-4)


@torch.no_grad()
def test_a_step_that_knows_the_affine_between_the_turned_images_gives_the_identity():
    """The oracle of equal images: it says R^-1 ∘ S, and turned back nothing is left."""

    class Oracle(torch.nn.Module):
        def forward(self, moving, fixed):
            return Maps(Affine(self.r_back @ self.s))

    oracle = Oracle()
    turned = Turned(oracle, spread=13.0)
    r, s = turns = [turned._drawn(image) for image in images()]
    oracle.r_back, oracle.s = r[1], s[0]
    turned._drawn = lambda image: turns.pop(0)
    maps = turned(*images())
    points = 10 * torch.rand(1, 3, 50)
    assert torch.allclose(maps.there.at(points), points, atol=1e-3)


def test_published_turns_have_all_axes_and_angles():
    """Angles that wind around many times: the mean of 1 + 2 cos is 1; without turns it is 3."""
    torch.manual_seed(0)
    matrices, _ = Turned(Sees())._drawn(torch.zeros(2000, 1, *SHAPE))
    traces = matrices[:, :3, :3].diagonal(dim1=1, dim2=2).sum(1)
    assert float(traces.mean()) == pytest.approx(1.0, abs=0.1)
    assert abs(float(matrices[:, :3, :3].mean())) < 0.15
    gram = matrices[:, :3, :3] @ matrices[:, :3, :3].transpose(1, 2)
    assert torch.allclose(gram, torch.eye(3).expand_as(gram), atol=1e-3)


@pytest.mark.parametrize("kind", ["odd", "border"])
def test_an_odd_reflection_goes_on_with_an_affine_field_and_the_border_does_not(kind):
    points = identity_grid(SHAPE, torch.device("cpu"), torch.float32)
    matrix = torch.eye(3) + 0.2 * torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    field = (matrix @ points.flatten(2)).view_as(points) - points
    outside = torch.tensor([[-3.0, 13.5, 4.0], [5.0, -2.5, 11.5], [12.0, 4.0, -4.0]]).T[None]
    there = Displacement(kind)(field).there
    close = torch.allclose(there.at(outside), matrix @ outside, atol=1e-4)
    assert close is (kind == "odd")


def test_it_wraps_steps_that_can_grow():
    steps = Then([Step(torch.nn.Identity(), Displacement())])
    assert not Turned(steps).consistent
    assert next(m for m in Turned(steps).modules() if isinstance(m, Then)) is steps
    assert isinstance(Sampled(torch.zeros(1, 3, 2, 2, 2)).take(slice(0, 1)), Sampled)
