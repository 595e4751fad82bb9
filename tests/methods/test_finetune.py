"""Weights tuned to a pair: the pair alone decides, the objective falls, and the method stays."""

import pytest
import torch

from pmrpipe.base.errors import InputError
from pmrpipe.losses.consistency import GradientInverseConsistency
from pmrpipe.losses.similarity import SquaredDifference
from pmrpipe.methods.classical import AffineOnly
from pmrpipe.methods.consistent import Consistent
from pmrpipe.methods.finetune import Finetuned, Finetuning, finetune, finetuned
from pmrpipe.methods.load import build_network
from pmrpipe.methods.network_method import NetworkMethod
from pmrpipe.methods.spec import Teacher, names, spec
from pmrpipe.methods.steps import Displacement, Step
from pmrpipe.networks.unet import StepUNet
from tests.helpers.parts import batch, faim, grid_of, pmr_authors, voxelmorph

SHAPE = (16, 20, 16)
QUICK = Finetuning(steps=3, rate=1e-3)
# Those with published widths are tuned on the meta device: tests/methods/test_meta.py.
# Nobody teaches a new pair: what has a teacher cannot be tuned.
LEARNED = [
    n
    for n in names()
    if spec(n).learned and not (spec(n).teacher or spec(n).shares) and not n.endswith("-published")
]


def images(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    noise = torch.rand(2, 1, *SHAPE, generator=torch.Generator().manual_seed(seed))
    return tuple(torch.nn.functional.avg_pool3d(noise, 3, 1, 1).split(1))


def consistent() -> Consistent:
    torch.manual_seed(0)
    step = Step(StepUNet([4, 4], [4, 4], normalise=True), Displacement())
    return Consistent(step, SquaredDifference(), {"inverse": GradientInverseConsistency(0.1)})


def noisy(method: NetworkMethod) -> NetworkMethod:
    """With batch statistics, as after some training."""
    torch.manual_seed(0)
    method.train()
    for seed in range(2):
        method.objective(batch(*images(seed)))
    return method.eval()


MAKERS = [consistent, faim, lambda: voxelmorph(), lambda: noisy(pmr_authors())]


@pytest.mark.parametrize("make", MAKERS)
def test_a_pair_does_not_depend_on_those_before_it_and_the_weights_stay(make) -> None:
    method = make().eval()
    first = {name: value.clone() for name, value in method.state_dict().items()}
    grid = grid_of(images(0)[0])
    alone = Finetuned(method, QUICK).register(*images(0), grid)
    job = Finetuned(method, QUICK)
    torch.manual_seed(99)
    torch.rand(7)  # noise drawn elsewhere is no matter
    for seed in (1, 2):
        job.register(*images(seed), grid)
    again = job.register(*images(0), grid)
    assert torch.equal(alone.displacement, again.displacement)
    after = method.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in first.items())
    assert not torch.equal(alone.displacement, method.register(*images(0), grid).displacement)


@pytest.mark.parametrize("make", MAKERS)
def test_the_objective_falls(make) -> None:
    _, (before, after) = finetune(make(), batch(*images(0)), Finetuning(steps=8, rate=1e-3))
    assert after < before


def test_norms_keep_what_training_has_told_them() -> None:
    method = noisy(pmr_authors())
    tuned, _ = finetune(method, batch(*images(3)), QUICK)
    own, other = method.state_dict(), tuned.state_dict()
    statistics = [name for name in own if "running" in name]
    assert statistics
    assert all(torch.equal(own[name], other[name]) for name in statistics)
    assert not tuned.training


def test_where_nothing_is_gained_the_weights_are_those_it_began_with() -> None:
    method = consistent()
    tuned, (before, after) = finetune(method, batch(*images(0)), Finetuning(2, rate=1e3))
    assert after == before
    own, other = method.state_dict(), tuned.state_dict()
    assert all(torch.equal(own[name], other[name]) for name in own)


def test_it_says_how_far_it_is_and_works_where_gradients_are_off() -> None:
    told, objectives = [], []
    job = Finetuned(consistent(), QUICK, lambda *step: told.append(step), objectives.append)
    with torch.no_grad():
        deformation = job.register(*images(0), grid_of(images(0)[0]))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert len(objectives) == 1
    assert not deformation.displacement.requires_grad
    assert deformation.inverse().displacement.shape == deformation.displacement.shape


@pytest.mark.parametrize("name", LEARNED)
def test_every_network_that_comes_with_the_package_can_be_tuned(name: str) -> None:
    chosen = spec(name)
    method = build_network(chosen, network_mm=1)
    small = [torch.nn.functional.interpolate(x, (32, 32, 32)) for x in images(0)]
    job = finetuned(chosen, method, Finetuning(steps=1))
    assert job.register(*small, grid_of(small[0])).displacement.isfinite().all()


def test_what_cannot_be_tuned_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="affine: is no network") as caught:
        finetuned(spec("affine"), AffineOnly(), QUICK)
    assert "\n" not in str(caught.value)
    taught = spec("faim").model_copy(update={"teacher": Teacher(method="greedy")})
    with pytest.raises(InputError, match="learns from a teacher"):
        finetuned(taught, faim(), QUICK)
