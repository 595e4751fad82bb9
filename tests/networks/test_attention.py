"""Coordinate attention: closed forms, an oracle in float64, and equivariance by construction."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from pmrpipe.base.errors import InputError
from pmrpipe.methods.operators import Then
from pmrpipe.methods.steps import Displacement, Step
from pmrpipe.networks.attention import CoordinateAttention, Features, attended
from pmrpipe.networks.tall_unet import TallUNet
from pmrpipe.spatial.warp import identity_grid


def grid(shape) -> torch.Tensor:
    return identity_grid(shape, torch.device("cpu"), torch.float32)


class Near(torch.nn.Module):
    """Random features of a voxel's neighbours up to two away; nothing without an image."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.layer = torch.nn.Conv3d(1, width, 5, padding=2, bias=False)
        torch.nn.init.normal_(self.layer.weight, generator=torch.Generator().manual_seed(0))

    def forward(self, image):
        return self.layer(image)


def scene(seed: int, shape=(18, 16, 17), edge: int = 5) -> torch.Tensor:
    """Noise in the middle of nothing."""
    image = torch.zeros(1, 1, *shape)
    inside = [n - 2 * edge for n in shape]
    image[(..., *(slice(edge, edge + n) for n in inside))] = torch.rand(
        inside, generator=torch.Generator().manual_seed(seed)
    )
    return image


def test_published_features_have_as_many_parameters():
    with torch.device("meta"):
        counts = [
            sum(p.numel() for p in Features(dilations=d).parameters())
            for d in ([1, 2, 4], [1, 2, 4, 8])
        ]
    assert counts == [3_986_816, 5_314_304]


def test_hard_attention_finds_a_permutation_exactly():
    shape = (3, 4, 2)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(0))
    keys = 200 * torch.eye(24).view(1, 24, *shape)
    queries = torch.eye(24)[:, order].view(1, 24, *shape)
    said = attended(queries, keys, grid(shape))
    assert torch.equal(said.flatten(2), grid(shape).flatten(2)[..., order])


def test_the_fused_kernel_is_the_softmax_in_double_precision():
    draw = torch.Generator().manual_seed(0)
    queries, keys = (2 * torch.randn(2, 8, *s, generator=draw) for s in ((4, 3, 5), (6, 4, 5)))
    values = grid((6, 4, 5)) / 5
    weights = torch.einsum("bcq,bck->bqk", queries.flatten(2).double(), keys.flatten(2).double())
    oracle = weights.softmax(2) @ values.flatten(2).double().transpose(1, 2)
    said = attended(queries, keys, values).flatten(2).transpose(1, 2)
    assert float((said - oracle).abs().max()) < 1e-5
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(
            attended(queries, keys, values), said.transpose(1, 2).reshape(2, 3, 4, 3, 5), atol=1e-6
        )


@pytest.mark.parametrize("count", [1, 2])
def test_the_matrix_of_all_products_is_never_made(count):
    queries, keys = torch.rand(count, 8, 4, 3, 5), torch.rand(count, 8, 6, 5, 7)
    # Within it torch refuses what its fused kernel does not take.
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        attended(queries.requires_grad_(), keys, grid((6, 5, 7))).sum().backward()


def test_affine_values_give_an_affine_answer():
    """Weights add up to 1: M y + t in place of y gives M phi + t."""
    draw = torch.Generator().manual_seed(0)
    queries, keys = (torch.randn(1, 8, *s, generator=draw) for s in ((4, 3, 5), (6, 4, 5)))
    matrix, shift = torch.randn(3, 3, generator=draw), torch.randn(3, 1, generator=draw)
    values = grid((6, 4, 5)) / 5
    changed = (matrix @ values.flatten(2) + shift).view_as(values)
    plain, moved = attended(queries, keys, values), attended(queries, keys, changed)
    assert torch.allclose(moved.flatten(2), matrix @ plain.flatten(2) + shift, atol=1e-5)


def test_each_image_s_features_are_computed_once_for_both_directions():
    class Counted(Near):
        seen = 0

        def forward(self, image):
            self.seen += image.shape[0]
            return super().forward(image)

    features = Counted()
    step = Step(CoordinateAttention(features, padding=2), Displacement())
    moving, fixed = scene(0), scene(1)
    both = step.both(moving, fixed).there.displacement
    assert features.seen == 2
    there, back = step(moving, fixed), step(fixed, moving)
    expected = torch.cat([m.there.displacement for m in (there, back)])
    assert torch.allclose(both, expected, atol=1e-5)


def shifted(image: torch.Tensor, voxels: tuple[int, int, int]) -> torch.Tensor:
    """image(p - voxels), as long as nothing but zeros leaves the grid."""
    return image.roll(voxels, (2, 3, 4))


def equivariance_error(
    step: Step | Then, w: tuple[int, ...], u: tuple[int, ...], edge: int = 5
) -> float:
    """Largest distance (voxels) of Phi[A∘W, B∘U] from W^-1 Phi[A, B] U over what B shows.

    A∘W(p) = A(p + w) shows A moved by -w; U is the shift by u; B has an empty rim of `edge`.
    """
    a, b = scene(0), scene(1, edge=edge)
    there = step(a, b).there
    again = step(shifted(a, [-n for n in w]), shifted(b, [-n for n in u])).there
    w, u = (torch.tensor(v, dtype=torch.float32).view(1, 3, 1) for v in (w, u))
    points = grid(a.shape[2:])[:, :, b[0, 0] > 0] - u
    return float((there.at(points + u) - w - again.at(points)).abs().max())


@torch.no_grad()
def test_attention_follows_different_shifts_of_both_images_and_a_unet_does_not():
    """W and U by integer voxels, features of radius 2, padding by at least as much and 2."""
    torch.manual_seed(0)
    xi = Step(CoordinateAttention(Near(), padding=5, length=12.0), Displacement())
    network = TallUNet([4, 4], [4, 4], norm="batch").eval()
    torch.nn.init.normal_(network.flow.weight, std=0.05)
    unet = Step(network, Displacement())
    w, u = (1, -2, 3), (0, 2, -1)
    assert equivariance_error(xi, w, w) < 1e-4
    assert equivariance_error(xi, w, u) < 1e-4
    assert equivariance_error(unet, w, u) > 1


@torch.no_grad()
def test_a_unet_after_the_attention_keeps_what_it_has():
    """The moving image is shifted; B is nowhere empty, where its voxels could not be told apart."""
    torch.manual_seed(0)
    network = TallUNet([4, 4], [4, 4], norm="batch").eval()
    torch.nn.init.normal_(network.flow.weight, std=0.02)
    xi = Step(CoordinateAttention(Near(), padding=5, length=12.0), Displacement())
    both = Then([xi, Step(network, Displacement())])
    assert equivariance_error(both, (1, -2, 3), (0, 0, 0), edge=0) < 1e-3
    alone = Step(network, Displacement())
    assert equivariance_error(alone, (1, -2, 3), (0, 0, 0), edge=0) > 1


@torch.no_grad()
def test_half_turns_of_the_image_turn_averaged_features_alone():
    image = scene(0)
    turned = image.flip(3, 4)
    for average in (True, False):
        torch.manual_seed(0)
        features = Features(4, 1, [1, 2], norm="instance", turned=average)
        close = torch.allclose(features(turned), features(image).flip(3, 4), atol=1e-5)
        assert close is average


def test_bfloat16_around_it_leaves_coordinates_exact():
    attention = CoordinateAttention(Near(), padding=3)
    with torch.autocast("cpu", torch.bfloat16):
        said = attention(scene(0), scene(0))
    assert said.dtype == torch.float32


@torch.no_grad()
def test_features_of_a_brain_that_reaches_a_face_are_those_of_one_that_does_not():
    """Standardising leaves something around the brain, which the padding has to keep."""
    attention = CoordinateAttention(Near(), padding=4, window=3)
    inside, touching = scene(0, edge=1), shifted(scene(0, edge=1), (-1, 0, 0))
    features, moved = (attention._said(image) for image in (inside, touching))
    assert torch.allclose(moved[:, :, :-1], features[:, :, 1:], atol=1e-4)


def test_an_image_smaller_than_two_cells_is_refused_in_one_line():
    with pytest.raises(InputError, match="is 1x5x5 cells of the attention"):
        CoordinateAttention(Near(), padding=3)(*torch.rand(2, 1, 1, 1, 5, 5))


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_every_parameter_matters(norm):
    features = Features(4, 2, [1, 2], norm=norm)
    attention = CoordinateAttention(features, padding=2, window=3)
    attention(scene(0), scene(1)).square().sum().backward()
    # What the last layers add alike everywhere, a bias, is no feature.
    assert all(p.grad is not None and p.grad.isfinite().all() for p in features.parameters())
