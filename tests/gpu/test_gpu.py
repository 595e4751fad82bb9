"""A GPU gives what the CPU gives."""

import numpy as np
import pytest
import torch

from pmrpipe.base.device import chosen_device, memory_told
from pmrpipe.base.errors import WorkError
from pmrpipe.images.volume import Grid
from pmrpipe.methods.batch import Batch
from pmrpipe.methods.load import build, load_method, shipped_folder
from pmrpipe.methods.refine import Refined, Refinement
from pmrpipe.methods.spec import names, spec
from pmrpipe.spatial.smooth import smoothed
from pmrpipe.spatial.warp import warp

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is visible"),
]
GRID = Grid((80, 96, 88), np.diag([2.0, 2.0, 2.0, 1.0]))
LEARNED = [name for name in names() if spec(name).learned and spec(name).teacher is None]


@pytest.fixture(scope="module")
def images():
    """A smooth random image, and the same warped."""
    generator = torch.Generator().manual_seed(0)
    moving = smoothed(torch.rand(1, 1, *GRID.shape, generator=generator), 2.0)
    moving = (moving - moving.min()) / (moving.max() - moving.min())
    field = smoothed(torch.randn(1, 3, *GRID.shape, generator=generator) * 30, 5.0)
    return moving, warp(moving, field)


def shipped(device):
    return load_method("pmr-plus", weights=shipped_folder("pmr-plus"), device=device)[1]


@pytest.mark.parametrize("steps", [0, 20])
def test_fields_are_those_of_the_cpu(images, steps):
    fields = []
    for device in ("cpu", "cuda"):
        method = shipped(device)
        if steps:
            method = Refined(method, Refinement(steps=steps).down_to(2.0))
        field = method.register(*(x.to(device) for x in images), GRID).displacement
        fields.append(field.cpu())
    assert float((fields[0] - fields[1]).norm(dim=1).max()) < 0.02


@pytest.mark.parametrize("name", LEARNED)
def test_every_network_takes_a_step_in_bfloat16(images, name):
    method = build(spec(name), network_mm=4.0).to("cuda").train()
    method.precision = torch.bfloat16
    grid = GRID.rescaled(4.0)
    small = [torch.nn.functional.interpolate(x, grid.shape).to("cuda") for x in images]
    total = method.objective(Batch(*small, grid))["total"]
    total.backward()
    assert torch.isfinite(total)


def test_automatic_choice_is_the_gpu():
    assert chosen_device("auto") == "cuda"


def test_too_little_memory_is_one_line():
    with pytest.raises(WorkError, match="asking for"), memory_told("a pair", "raise network_mm"):
        torch.empty(2**45, device="cuda")
