"""The network of a step: any size, zero at the start, and every voxel sees both images."""

import pytest
import torch

from pmrpipe.networks.unet import StepUNet, VelocityUNet

SMALL = {"encoder": [4, 6], "decoder": [6, 4], "normalise": True, "window": 3}


@pytest.mark.parametrize("shape", [(16, 12, 8), (13, 9, 11)])
def test_it_gives_three_components_on_the_images_grid_and_begins_at_zero(shape):
    flow = StepUNet(**SMALL)(*torch.rand(2, 2, 1, *shape))
    assert flow.shape == (2, 3, *shape)
    assert not flow.any()


def test_it_shares_the_unet_of_voxelmorph_whose_parameters_keep_their_names():
    step, velocity = (set(dict(net().named_parameters())) for net in (StepUNet, VelocityUNet))
    shared = {name for name in velocity if name.startswith(("down.", "up."))}
    assert shared <= step
    heads = {f"{head}.{part}" for head in ("mean", "log_variance") for part in ("weight", "bias")}
    assert velocity == shared | heads


def test_both_images_and_every_parameter_matter():
    torch.manual_seed(0)
    network = StepUNet(**SMALL)
    torch.nn.init.normal_(network.flow.weight, std=0.1)
    moving, fixed = torch.rand(2, 1, 1, 12, 12, 12).requires_grad_().unbind(0)
    network(moving, fixed).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    one, other = network(moving, fixed), network(fixed, moving)
    assert not torch.allclose(one, other)
