"""The step network of ICON's family: its size, its start, and any size of image."""

import pytest
import torch

from pmrpipe.networks.tall_unet import TallUNet

SMALL = {"down": [4, 8, 8], "up": [8, 4, 4], "norm": "instance", "window": 3}


def test_it_has_as_many_parameters_as_the_published_one():
    with torch.device("meta"):
        assert sum(p.numel() for p in TallUNet().parameters()) == 17_670_229


def test_a_fresh_one_is_zero_to_the_bit_on_odd_sizes_too():
    network = TallUNet([2, 4, 4, 8, 8], [8, 4, 4, 2, 2])
    flow = network(*torch.rand(2, 1, 1, 65, 77, 66))
    assert flow.shape == (1, 3, 65, 77, 66)
    assert not flow.any()


def test_one_unit_of_the_head_is_a_tenth_of_the_edge():
    network = TallUNet(**SMALL)
    torch.nn.init.constant_(network.flow.bias, 1.0)
    flow = network(*torch.rand(2, 1, 1, 11, 21, 16))
    assert torch.allclose(flow[0, :, 3, 4, 5], torch.tensor([1.0, 2.0, 1.5]))


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_both_images_and_every_parameter_matter(norm):
    torch.manual_seed(0)
    network = TallUNet(**(SMALL | {"norm": norm}))
    torch.nn.init.normal_(network.flow.weight, std=0.1)
    moving, fixed = torch.rand(2, 1, 1, 13, 12, 11)
    network(moving, fixed).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert not torch.allclose(network(moving, fixed), network(fixed, moving))


def test_without_its_convolutions_the_residual_paths_are_pooling_and_interpolation():
    """Both images pooled twice and enlarged again, apart from the skips, as closed forms say."""
    network = TallUNet([2, 2], [2, 2], norm="batch").eval()
    for layer in [*network.down, *network.up]:
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    images = torch.rand(1, 2, 8, 8, 8)
    features = network._features(images)
    assert torch.equal(features[:, 2:], images)
    quarter = torch.nn.functional.avg_pool3d(images, 4)
    once = torch.nn.functional.interpolate(quarter, scale_factor=2, mode="trilinear")
    twice = torch.nn.functional.interpolate(once, scale_factor=2, mode="trilinear")
    assert torch.allclose(features[:, :2], twice, atol=1e-4)


def test_the_field_is_float32_and_finer_than_half_precision():
    torch.manual_seed(0)
    network = TallUNet(**SMALL)
    torch.nn.init.normal_(network.flow.weight, std=0.1)
    with torch.autocast("cpu", torch.bfloat16):
        flow = network(*torch.rand(2, 1, 1, 12, 12, 12))
    assert flow.dtype == torch.float32
    assert not torch.equal(flow, flow.bfloat16().float())


def test_widths_and_norms_that_there_are_not_are_refused():
    with pytest.raises(ValueError, match="1 levels down and 2 up"):
        TallUNet([4], [4, 4])
    with pytest.raises(ValueError, match="unknown norm"):
        TallUNet(**(SMALL | {"norm": "group"}))
