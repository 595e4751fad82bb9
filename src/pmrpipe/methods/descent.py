"""L-BFGS with backtracking, for energies whose gradient is exact.

Source: Nocedal and Wright, Numerical Optimization (2006), algorithms 3.1 and 7.4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pmrpipe.methods.stops import value

Terms = dict[str, Tensor]
# Least decrease, as a part of what the slope promises; and how often a step is halved.
_ARMIJO, _HALVINGS = 1e-4, 12
# Iterations in a row that change the energy by less than the tolerance: then it is done.
_PATIENCE = 3


@dataclass
class Descent:
    """Minimises the term "total" of an energy, from `start` on.

    Parameters
    ----------
    energy : a point to named terms, scalars; "total" is minimised
    longest : a direction to the largest step along it, so that nothing leaps
    history : pairs of steps and slopes that shape the direction
    tolerance : relative change of the energy below which an iteration gains nothing

    After `run`, `point` is the best point and `terms` holds the terms of every iteration, the
    start's first.
    """

    energy: Callable[[Tensor], Terms]
    start: Tensor
    longest: Callable[[Tensor], float]
    history: int = 5
    tolerance: float = 1e-4
    terms: list[dict[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.point = self.start.detach()
        self._pairs: list[tuple[Tensor, Tensor]] = []

    def run(self, iterations: int) -> Iterator[int]:
        """Take up to so many iterations, yielding their numbers."""
        reached, slope = self._measure(self.point)
        idle = 0
        for number in range(1, iterations + 1):
            taken = self._search(reached, slope)
            if taken is None:
                if not self._pairs:
                    return
                self._pairs.clear()  # A direction from stale slopes: begin again downhill.
                continue
            before, (reached, slope) = reached, taken
            yield number
            idle = idle + 1 if before - reached <= self.tolerance * abs(before) else 0
            if idle == _PATIENCE:
                return

    def _measure(self, point: Tensor) -> tuple[float, Tensor]:
        with torch.enable_grad():
            leaf = point.detach().requires_grad_()
            terms = self.energy(leaf)
            (slope,) = torch.autograd.grad(terms["total"], leaf)
        # Where nothing can be read the energy counts as falling.
        falling = -float(len(self.terms))
        self.terms.append({name: value(term, falling) for name, term in terms.items()})
        return self.terms[-1]["total"], slope

    def _search(self, before: float, slope: Tensor) -> tuple[float, Tensor] | None:
        """One step: the value and slope where it ends, or None when no step lowers the energy."""
        direction = self._direction(slope)
        descent = value((direction * slope).sum(), -1.0)
        if not descent < 0:
            return None
        step = min(self.longest(direction), 1.0 if self._pairs else float("inf"))
        for _ in range(_HALVINGS):
            trial = self.point + step * direction
            reached, new = self._measure(trial)
            if reached <= before + _ARMIJO * step * descent:
                self._remember(trial - self.point, new - slope)
                self.point = trial
                return reached, new
            self.terms.pop()
            step /= 2
        return None

    def _remember(self, step: Tensor, change: Tensor) -> None:
        if value((step * change).sum()) > 0:
            self._pairs = [*self._pairs, (step, change)][-self.history :]

    def _direction(self, slope: Tensor) -> Tensor:
        """Minus the inverse Hessian, as the last pairs tell it, times the slope."""
        direction = -slope
        weights = []
        for step, change in reversed(self._pairs):
            weight = (step * direction).sum() / (step * change).sum()
            direction = direction - weight * change
            weights.append(weight)
        if self._pairs:
            step, change = self._pairs[-1]
            direction = direction * ((step * change).sum() / change.square().sum())
        for (step, change), weight in zip(self._pairs, reversed(weights), strict=True):
            back = (change * direction).sum() / (step * change).sum()
            direction = direction + (weight - back) * step
        return direction
