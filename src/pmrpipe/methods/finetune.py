"""Instance optimisation of a network: its own objective on the pair, on a copy of its weights.

Source: ICON and GradICON (Tian et al., CVPR 2023): 50 steps of Adam at 2e-5 over all weights.
Here every pair begins with the trained weights, so that no pair depends on those before it, and
the noise of an objective follows from the step alone. Norms keep what training has told them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pmrpipe.base.errors import InputError
from pmrpipe.base.seed import SEED
from pmrpipe.images.volume import Grid
from pmrpipe.methods.batch import Batch
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.network_method import NetworkMethod
from pmrpipe.methods.protocols import LearnsMomenta, Method
from pmrpipe.methods.spec import MethodSpec
from pmrpipe.methods.stops import read

Tell = Callable[[int, int], None]
Objectives = tuple[float, float]


@dataclass(frozen=True)
class Finetuning:
    """How the weights are tuned for a pair: steps of Adam, and its learning rate."""

    steps: int = 50
    rate: float = 2e-5


class Finetuned:
    """A network whose weights are tuned for every pair; those that it was given stay as they are.

    tell, done : called with the steps done and all of them; with each pair's objective before and
        after
    """

    def __init__(
        self,
        method: NetworkMethod,
        plan: Finetuning,
        tell: Tell | None = None,
        done: Callable[[Objectives], object] | None = None,
    ) -> None:
        self.method, self.plan, self.tell, self.done = method, plan, tell, done

    def register(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """Register (1, 1, X, Y, Z) images; the result lies on the network's grid."""
        inner = self.method.grid(grid)
        moving, fixed = (self.method.seen(image, inner) for image in (moving, fixed))
        batch = Batch(moving, fixed, inner)
        tuned, objectives = finetune(self.method, batch, self.plan, self.tell)
        if self.done is not None:
            self.done(objectives)
        with torch.no_grad():
            return tuned.deform(moving, fixed, inner)


def finetuned(
    spec: MethodSpec,
    method: Method,
    plan: Finetuning,
    tell: Tell | None = None,
    done: Callable[[Objectives], object] | None = None,
) -> Finetuned:
    """`method` followed by instance optimisation of its weights; `tell`, `done` as `Finetuned`.

    Raises
    ------
    InputError : a method without weights, or one that learns from a teacher
    """
    if not isinstance(method, NetworkMethod):
        problem = "is no network: it has no weights to tune"
        raise InputError(spec.name, problem, "finetune is for learned methods")
    if spec.teacher is not None or isinstance(method, LearnsMomenta):
        problem = "learns from a teacher, which says nothing of a new pair"
        raise InputError(spec.name, problem, "take refine")
    return Finetuned(method, plan, tell, done)


def finetune(
    method: NetworkMethod, batch: Batch, plan: Finetuning, tell: Tell | None = None
) -> tuple[NetworkMethod, Objectives]:
    """The method for this pair alone, and its objective before and after, under the same noise.

    Where the objective has not fallen the weights are those that the pair began with. `tell` is
    called with the steps done and all of them.
    """
    devices = [batch.fixed.device] if batch.fixed.is_cuda else []
    with torch.random.fork_rng(devices=devices), torch.enable_grad():
        tuned = method.for_pair(batch.moving, batch.fixed).eval()
        first = {name: value.clone() for name, value in tuned.state_dict().items()}
        before = _objective(tuned, batch)
        _descend(tuned, batch, plan, tell)
        values = read([before, _objective(tuned, batch)])
    if values is None:
        return tuned, (math.nan, math.nan)
    began, ended = values
    if not ended < began:
        tuned.load_state_dict(first)
        ended = began
    return tuned, (began, ended)


def _descend(tuned: NetworkMethod, batch: Batch, plan: Finetuning, tell: Tell | None) -> None:
    optimiser = torch.optim.Adam(tuned.requires_grad_().parameters(), lr=plan.rate)
    for step in range(1, plan.steps + 1):
        torch.manual_seed(SEED + step)
        optimiser.zero_grad()
        tuned.objective(batch)["total"].backward()
        optimiser.step()
        if tell is not None:
            tell(step, plan.steps)


@torch.no_grad()
def _objective(method: NetworkMethod, batch: Batch) -> Tensor:
    torch.manual_seed(SEED)
    return method.objective(batch)["total"]
