"""Shapes, initialisation and the quick path of the networks."""

import pytest
import torch

from pmrpipe.networks.blocks import Convolution, Encoder
from pmrpipe.networks.multilayer import MultilayerNetwork


def pair(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    return torch.rand(1, 1, *shape, generator=draw), torch.rand(1, 1, *shape, generator=draw)


@pytest.mark.parametrize("shape", [(32, 48, 16), (17, 30, 9), (5, 5, 5)])
def test_every_size_gives_four_levels(shape):
    levels = MultilayerNetwork((4, 6, 6, 6), head=4)(*pair(*shape))
    padded = [-(-n // 16) * 16 for n in shape]
    for number, (level, channels) in enumerate(zip(levels, (4, 6, 6, 6), strict=True), 1):
        size = tuple(n // 2**number for n in padded)
        assert level.mean.shape == level.log_variance.shape == (1, 3, *size)
        assert level.moving.shape == level.fixed.shape == (1, channels, *size)


def test_a_new_network_predicts_almost_nothing_with_small_variance():
    for level in MultilayerNetwork()(*pair(16, 16, 16)):
        assert level.mean.abs().max() < 1e-2
        assert torch.allclose(level.log_variance, torch.tensor(-10.0), atol=1e-3)


def test_encoders_are_alike_at_the_start_and_not_shared():
    network, (moving, _) = MultilayerNetwork(), pair(16, 16, 16)
    for level in network(moving, moving):
        assert torch.equal(level.moving, level.fixed)
    own = {parameter.data_ptr() for parameter in network.moving.parameters()}
    assert not own & {parameter.data_ptr() for parameter in network.fixed.parameters()}


def test_he_initialisation_keeps_the_second_moment():
    encoder, image = Encoder((64,), inputs=64), torch.randn(1, 64, 16, 16, 16)
    (features,) = encoder(image)
    inner = features[..., 1:-1, 1:-1, 1:-1]
    assert float(inner.square().mean()) == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_quick_path_is_the_plain_convolution(stride):
    layer = Convolution(5, 7, 3, stride, padding=1)
    image = torch.randn(1, 5, 9, 8, 10, requires_grad=True)
    quick = layer(image)
    plain = torch.nn.functional.conv3d(image, layer.weight, layer.bias, stride, 1)
    assert torch.allclose(quick, plain, atol=1e-5)
    for one, other in zip(
        *(
            torch.autograd.grad(out.square().sum(), [image, layer.weight, layer.bias])
            for out in (quick, plain)
        ),
        strict=True,
    ):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-3)


def test_normalised_features_have_one_scale_on_any_grid():
    network = MultilayerNetwork((4, 6, 6, 6), head=4, normalise=True, window=3)
    small, large = pair(16, 16, 16)[0], pair(32, 32, 32)[0]
    for level in network(large, 1e-2 * large):
        for features in (level.moving, level.fixed):
            assert 0.2 < float(features.square().mean()) < 1.1
    # The last level of 16 voxels is a single voxel: nothing varies, nothing breaks.
    assert network(small, small)[3].moving.abs().max() == 0


def test_normalisation_has_no_parameters():
    plain, normalised = (MultilayerNetwork(normalise=flag) for flag in (False, True))
    assert [p.shape for p in plain.parameters()] == [p.shape for p in normalised.parameters()]


def test_heads_may_see_sum_and_difference():
    """Equal features differ by nothing: only the sum reaches the head."""
    network, (image, other) = MultilayerNetwork((4, 6), head=4, combine="difference"), pair(8, 8, 8)
    seen = []
    network.heads[0].body.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    network(image, image), network(image, other)
    same, differing = (features.chunk(2, dim=1)[1] for features in seen)
    assert same.abs().max() == 0
    assert differing.abs().max() > 0
    with pytest.raises(ValueError, match="combine"):
        MultilayerNetwork(combine="product")
