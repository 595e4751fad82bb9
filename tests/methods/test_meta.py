"""Every method on torch's `meta` device: nothing that it computes with stays on the CPU.

A tensor that was made on the CPU meets one of the device, and torch raises, as it would on a GPU.
A convolution does not notice: weights are checked apart. Nothing can be read there either, so that
a value which the program waits for shows.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch

from pmrpipe.images.volume import Grid
from pmrpipe.methods.batch import Batch
from pmrpipe.methods.classical import AntsSyN
from pmrpipe.methods.components import resolve
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.finetune import Finetuning, finetune
from pmrpipe.methods.load import build
from pmrpipe.methods.protocols import LearnsMomenta, Probabilistic
from pmrpipe.methods.refine import Refinement, refine
from pmrpipe.methods.spec import names, spec

MM = 4.0
GRID = Grid((36, 44, 40), np.diag([MM, MM, MM, 1.0]))
LEARNED = [name for name in names() if spec(name).learned]
# ANTs computes on the CPU alone; the steps of geodesics' descents follow from values.
CLASSICAL = [
    name
    for name in names()
    if not spec(name).learned and resolve(spec(name).component) is not AntsSyN
]


def images(batch: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    shape = (batch, 1, *GRID.shape)
    return torch.empty(shape, device="meta"), torch.empty(shape, device="meta")


@cache
def on_meta(name: str) -> torch.nn.Module:
    return build(spec(name), network_mm=MM).to("meta")


def shown(name: str) -> Batch:
    """What a step of its training shows the method."""
    moving, fixed = images()
    taught = spec(name).teacher is not None
    field = torch.zeros(1, 3, *GRID.shape, device="meta")
    target = Deformation(field, GRID) if taught else None
    if isinstance(on_meta(name), LearnsMomenta):
        target = {"white": field}
    batch = Batch(moving, fixed, GRID, target)
    return batch.both_ways() if spec(name).schedule.symmetric else batch


def unregistered(module: torch.nn.Module) -> list[str]:
    """Tensors that `.to(device)` does not take along."""
    return [
        f"{path}.{name}"
        for path, part in module.named_modules()
        for name, value in vars(part).items()
        if isinstance(value, torch.Tensor)
    ]


@pytest.mark.parametrize("name", LEARNED)
def test_no_weight_and_no_constant_stays_behind(name):
    method = on_meta(name)
    assert all(p.is_meta for p in [*method.parameters(), *method.buffers()])
    assert unregistered(method) == []


@pytest.mark.parametrize("name", LEARNED)
def test_a_training_step_stays_on_the_device(name):
    method = on_meta(name).train()
    terms = method.objective(shown(name))
    assert all(term.is_meta and term.shape == () for term in terms.values())
    terms["total"].backward()
    assert any(p.grad is not None for p in method.parameters())


@pytest.mark.parametrize("name", LEARNED)
def test_a_registration_by_a_network_stays_on_the_device(name):
    method = on_meta(name).eval()
    deformation = method.register(*images(), GRID)
    assert deformation.displacement.is_meta
    assert deformation.inverse().displacement.is_meta


@pytest.mark.parametrize("name", [name for name in LEARNED if spec(name).posterior])
def test_a_draw_of_the_posterior_stays_on_the_device(name):
    method = on_meta(name).eval()
    assert isinstance(method, Probabilistic)
    assert method.posterior(*images(), GRID).deviation(2, seed=0).is_meta


@pytest.mark.parametrize("name", CLASSICAL)
def test_a_registration_without_a_network_stays_on_the_device(name):
    chosen = spec(name)
    if "iterations" in chosen.parameters:  # nothing stops on meta: all of them would run
        few = [2] * len(chosen.parameters["iterations"])
        chosen = chosen.model_copy(update={"parameters": chosen.parameters | {"iterations": few}})
    assert build(chosen).register(*images(), GRID).displacement.is_meta


def test_instance_optimisation_stays_on_the_device_and_takes_every_step():
    start = Deformation(torch.zeros(1, 3, *GRID.shape, device="meta"), GRID)
    told = []
    plan = Refinement(steps=12, mm=(8.0, 4.0))
    deformation = refine(*images(), GRID, start, plan, lambda step, most: told.append(step))
    assert deformation.displacement.is_meta
    assert told == list(range(1, 25))


@pytest.mark.parametrize("name", ["voxelmorph", "gradicon", "nephi"])
def test_weights_are_tuned_to_a_pair_on_the_device(name):
    tuned, objectives = finetune(on_meta(name), shown(name), Finetuning(steps=1))
    assert all(p.is_meta for p in tuned.parameters())
    assert all(map(math.isnan, objectives))
