"""Instance optimisation: from a network's answer on, the pair's own velocity is optimised.

Source: the idea of Balakrishnan et al., TMI 38 (2019) (a network's answer as the start of an
optimisation), here coarse to fine on the velocity, so that the result stays diffeomorphic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pmrpipe.losses.regularity import squared_gradient
from pmrpipe.losses.similarity import local_correlation
from pmrpipe.methods.base import Deformation
from pmrpipe.spatial.integrate import compose, integrate
from pmrpipe.spatial.resize import resize_displacement, resize_image
from pmrpipe.spatial.warp import warp
from pmrpipe.volume import Grid

# Steps without progress after which a level ends, and the progress that counts.
_PATIENCE, _PROGRESS = 10, 1e-4


@dataclass(frozen=True)
class Refinement:
    """How a pair is optimised.

    steps : of Adam on each level
    mm : voxel size of each level, coarse to fine
    learning_rate : voxels
    window : edge of the local correlation's cube, voxels
    smooth : weight of the mean squared gradient of the velocity
    squarings : of scaling and squaring
    """

    steps: int = 50
    mm: tuple[float, ...] = (6.0, 3.0)
    learning_rate: float = 0.05
    window: int = 5
    smooth: float = 0.3
    squarings: int = 6


class Refined:
    """A method followed by instance optimisation."""

    def __init__(self, method: Any, plan: Refinement) -> None:
        self.method, self.plan = method, plan

    def register(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """Register (1, 1, X, Y, Z) images; the result lies on the finest level's grid."""
        return refine(moving, fixed, grid, self.method.register(moving, fixed, grid), self.plan)


def refine(
    moving: Tensor, fixed: Tensor, grid: Grid, start: Deformation, plan: Refinement
) -> Deformation:
    """Optimise the velocity of `start` level by level; on one thread the same bits every time.

    A start without a velocity stays as it is, and a velocity of its own is put before it. The
    best velocity of each level is kept, so that no level ends worse than it began.

    Parameters
    ----------
    moving, fixed : (1, 1, X, Y, Z) on `grid`, in [0, 1]
    """
    velocity, base = start.velocity, None if start.velocity is not None else start.displacement
    if velocity is None:
        velocity = torch.zeros_like(start.displacement)
    displacement, inner = start.displacement, start.grid
    for mm in plan.mm:
        inner = grid.rescaled(mm)
        images = [resize_image(image, inner.shape) for image in (moving, fixed)]
        first = resize_displacement(velocity, inner.shape)
        before = None if base is None else resize_displacement(base, inner.shape)
        velocity = _level(*images, first, before, plan)
        displacement = _map(velocity, before, plan)
    return Deformation(displacement, inner, velocity if base is None else None)


def _map(velocity: Tensor, before: Tensor | None, plan: Refinement) -> Tensor:
    displacement = integrate(velocity, plan.squarings)
    return displacement if before is None else compose(before, displacement)


def _level(
    moving: Tensor, fixed: Tensor, first: Tensor, before: Tensor | None, plan: Refinement
) -> Tensor:
    velocity = first.clone().requires_grad_()
    optimiser = torch.optim.Adam([velocity], lr=plan.learning_rate)
    best, kept, since = float("inf"), first, 0
    with torch.enable_grad():
        for step in range(plan.steps + 1):
            warped = warp(moving, _map(velocity, before, plan))
            loss = 1 - local_correlation(fixed, warped, plan.window)
            loss = loss + plan.smooth * squared_gradient(velocity)
            since = 0 if float(loss.detach()) < best - _PROGRESS else since + 1
            if float(loss.detach()) < best:
                best, kept = float(loss.detach()), velocity.detach().clone()
            if step == plan.steps or since >= _PATIENCE:
                break
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return kept
