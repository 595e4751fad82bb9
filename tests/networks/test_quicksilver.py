"""Quicksilver's network and its patches: sizes, the published count, positions, overlaps."""

from __future__ import annotations

import pytest
import torch

from pmrpipe.methods.load import build
from pmrpipe.methods.spec import spec
from pmrpipe.networks.patches import Patches, filled_box, starts
from pmrpipe.networks.quicksilver import QuicksilverNetwork, QuicksilverUNet


def test_the_published_network_has_the_published_number_of_parameters():
    with torch.device("meta"):
        network = QuicksilverNetwork(64)
    assert sum(p.numel() for p in network.parameters()) == 21_826_347
    used = sum(p.numel() for p in network.parameters() if p.requires_grad)
    assert used == 21_826_347 - 3


def test_the_shipped_preset_is_the_published_one():
    method = spec("quicksilver-published")
    assert method.parameters["network"]["features"] == 64
    assert (method.parameters["edge"], method.parameters["stride"]) == (15, 14)
    with torch.device("meta"):
        assert sum(p.numel() for p in build(method).network.parameters()) == 21_826_347


def test_a_patch_goes_from_15_to_8_5_8_and_15_voxels():
    network = QuicksilverNetwork(2)
    sizes = []
    for part in (network.moving, network.decoders[0]):
        for layer in part:
            if isinstance(layer, (torch.nn.Conv3d, torch.nn.ConvTranspose3d)):
                layer.register_forward_hook(lambda _, __, out: sizes.append(out.shape[-1]))
    patch = torch.rand(2, 1, 15, 15, 15)
    assert network(patch, patch).shape == (2, 3, 15, 15, 15)
    assert [n for n, before in zip(sizes, [0, *sizes], strict=False) if n != before] == [
        15, 8, 5, 8, 15,
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [QuicksilverNetwork, QuicksilverUNet])
def test_every_weight_counts(kind):
    torch.manual_seed(0)
    network = kind(8)
    patch = 0.4 + 0.2 * torch.randn(4, 1, 15, 15, 15)
    out = network(patch, patch.flip(2))
    size = float(out.detach().std())
    if kind is QuicksilverNetwork:
        # With weights that are too small a chain without skips says zero for a thousand steps.
        assert 0.3 < size < 5
    assert float(out.detach().std(0).mean()) > 0.05 * size  # it is of the images, not one for all
    out.square().mean().backward()
    trained = [p for p in network.parameters() if p.requires_grad]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in trained)


@pytest.mark.parametrize("edge", [3, 7, 15])
def test_the_u_net_takes_the_same_patches(edge):
    patch = torch.rand(2, 1, edge, edge, edge)
    assert QuicksilverUNet(2)(patch, patch).shape == (2, 3, edge, edge, edge)


@pytest.mark.parametrize(
    ("shape", "count"),
    [((229, 193, 193), 3332), ((160, 192, 176), 2184), ((80, 96, 88), 294)],
)
def test_as_many_patches_as_the_published_grids_have(shape, count):
    assert len(Patches(shape).corners) == count


def test_patches_begin_every_14_voxels_and_the_last_one_is_flush():
    assert starts(44, 15, 14) == [0, 14, 28, 29]
    assert starts(43, 15, 14) == [0, 14, 28]
    with pytest.raises(ValueError, match="shorter than a patch"):
        starts(14, 15, 14)


def test_patches_put_together_are_the_image_and_overlaps_are_means():
    patches = Patches((20, 17, 31))
    image = torch.rand(1, 2, 20, 17, 31)
    torch.testing.assert_close(patches.joined(patches.cut(image)), image)
    constant = torch.full((len(patches.corners), 1, 15, 15, 15), 3.0)
    assert torch.equal(patches.joined(constant), torch.full((1, 1, 20, 17, 31), 3.0))
    ones, threes = torch.ones(1, 1, 15, 15, 15), torch.full((1, 1, 15, 15, 15), 3.0)
    pair = Patches((15, 15, 29)).joined(torch.cat([ones, threes]))
    assert pair[0, 0, 0, 0].tolist() == [1.0] * 14 + [2.0] + [3.0] * 14


def test_only_patches_with_something_in_them_are_occupied_the_first_one_too():
    patches = Patches((29, 15, 15))
    moving, fixed = torch.zeros(1, 1, 29, 15, 15), torch.zeros(1, 1, 29, 15, 15)
    assert patches.occupied(moving, fixed) == []
    moving[..., 2, 2, 2] = 1
    assert patches.occupied(moving, fixed) == [0]
    fixed[..., 28, 2, 2] = 1
    assert patches.occupied(moving, fixed) == [0, 1]
    assert not patches.joined(torch.ones(1, 3, 15, 15, 15), [1])[..., :14, :, :].any()


@pytest.mark.parametrize("kind", [QuicksilverNetwork, QuicksilverUNet])
def test_dropped_features_follow_the_seed_and_are_the_same_in_all_patches(kind):
    network = kind(4, dropout=0.3).eval()
    patch = torch.rand(1, 1, 15, 15, 15).expand(3, -1, -1, -1, -1)
    plain = network(patch, patch)
    drawn = {}
    for seed in (1, 1, 2):
        network.draw(seed)
        out = network(patch, patch)
        torch.testing.assert_close(out[0], out[2])
        drawn.setdefault(seed, []).append(out)
    assert torch.equal(*drawn[1])
    assert not torch.allclose(drawn[1][0], drawn[2][0])
    network.draw(None)
    assert torch.equal(network(patch, patch), plain)


def test_patches_lie_where_an_image_is_not_empty():
    images = [torch.zeros(1, 1, 40, 30, 20) for _ in range(2)]
    assert filled_box(images, 15) is None
    images[0][..., 10:32, 3, 18] = 1
    images[1][..., 12, 5:9, 19] = -1
    assert filled_box(images, 15) == (slice(10, 32), slice(0, 15), slice(5, 20))
    assert filled_box(images, 2) == (slice(10, 32), slice(3, 9), slice(18, 20))
    assert filled_box([image.to("meta") for image in images], 15) == tuple(map(slice, (40, 30, 20)))
