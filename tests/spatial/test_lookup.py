"""The look-up for derivatives: values of grid_sample, first and second derivatives."""

import pytest
import torch

from pmrpipe.spatial.lookup import look_up
from pmrpipe.spatial.warp import sample


def given(batch: int = 2, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    image = torch.rand(batch, 3, 4, 5, 3, generator=draw, dtype=dtype)
    points = torch.rand(batch, 3, 12, generator=draw, dtype=dtype) * 6 - 1.5
    return image, points


def test_values_are_those_of_grid_sample_inside_and_beyond_the_border() -> None:
    image, points = given()
    assert torch.allclose(look_up(image, points), sample(image, points), atol=1e-12)
    nodes = torch.tensor([[0.0, 3.0, 1.0], [0.0, 4.0, 2.0], [0.0, 2.0, 1.0]]).double()[None]
    assert torch.equal(look_up(image[:1], nodes)[0, :, 1], image[0, :, 3, 4, 2])
    single = torch.rand(1, 2, 1, 1, 4).double()
    assert torch.allclose(look_up(single, nodes), sample(single, nodes), atol=1e-12)


@pytest.mark.parametrize("check", [torch.autograd.gradcheck, torch.autograd.gradgradcheck])
def test_first_and_second_derivatives(check) -> None:
    image, points = given(batch=1)
    # Away from voxels, where the slope jumps.
    points = points.floor().clamp(-2, 5) + 0.2 + 0.6 * (points - points.floor())
    assert check(look_up, (image.requires_grad_(), points[..., :6].requires_grad_()))
