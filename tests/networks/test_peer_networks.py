"""Networks of the methods that PMR is compared with: sizes and numbers from the sources."""

import pytest
import torch

from pmrpipe.networks.inception import FaimNetwork, InceptionStem, SameConvolution
from pmrpipe.networks.pmr_authors import AuthorsNetwork
from pmrpipe.networks.unet import VelocityUNet


def pair(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    return torch.rand(1, 1, *shape, generator=draw), torch.rand(1, 1, *shape, generator=draw)


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_parameter_counts_are_the_publications():
    assert count(VelocityUNet()) == count(VelocityUNet(normalise=True, window=5)) == 266_374
    assert count(FaimNetwork()) == count(FaimNetwork(normalise=True, window=5)) == 233_683


@pytest.mark.parametrize("shape", [(32, 48, 16), (17, 30, 9)])
def test_voxelmorph_predicts_at_half_resolution(shape):
    mean, log_variance = VelocityUNet()(*pair(*shape))
    half = tuple(-(-n // 16) * 8 for n in shape)
    assert mean.shape == log_variance.shape == (1, 3, *half)
    assert mean.abs().max() < 1e-2
    assert torch.allclose(log_variance, torch.tensor(-10.0), atol=1e-3)


@pytest.mark.parametrize("shape", [(16, 20, 12), (17, 9, 11)])
def test_faim_predicts_at_full_resolution(shape):
    assert FaimNetwork()(*pair(*shape)).shape == (1, 3, *[-(-n // 4) * 4 for n in shape])


@pytest.mark.parametrize("shape", [(16, 24, 32), (17, 9, 30)])
def test_the_authors_network_has_three_levels_and_a_decoder(shape):
    network = AuthorsNetwork(base=8)
    *levels, last = network(*pair(*shape))
    padded = [-(-n // 8) * 8 for n in shape]
    for number, (level, decode) in enumerate(zip(levels, network.decode, strict=True), 1):
        size = tuple(n // 2**number for n in padded)
        assert level.mean.shape == (1, 3, *size)
        assert decode(level.mean).shape == level.fixed.shape == (1, 4 * 2**number, *size)
    assert last.mean.shape == levels[0].mean.shape
    assert last.fixed is None


def test_the_authors_levels_see_the_moving_image_alone():
    network = AuthorsNetwork(base=8).eval()
    moving, fixed = pair(16, 16, 16)
    before, after = network(moving, fixed), network(moving, fixed.flip(2))
    for one, other in zip(before[:3], after[:3], strict=True):
        assert torch.equal(one.mean, other.mean)
    assert not torch.equal(before[3].mean, after[3].mean)


@pytest.mark.parametrize("kernel", [2, 5, 7, 11])
@pytest.mark.parametrize("stride", [1, 2])
def test_every_kernel_keeps_the_size(kernel, stride):
    layer = SameConvolution(1, 2, kernel, stride)
    assert layer(torch.rand(1, 1, 12, 12, 12)).shape == (1, 2, *[12 // stride] * 3)
    impulse = torch.zeros(1, 1, 12, 12, 12)
    impulse[..., 6, 6, 6] = 1
    assert layer(impulse)[0, 0, 6 // stride, 6 // stride, 6 // stride] != 0


def test_the_stem_shares_its_channels_among_four_kernels():
    stem = InceptionStem(2, 32)
    sizes = [tuple(branch.layer.weight.shape) for branch in stem.branches]
    assert sizes == [(8, 2, k, k, k) for k in (2, 5, 7, 11)]
