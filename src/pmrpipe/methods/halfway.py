"""A level of instance optimisation half-way: both images move, and neither is favoured.

The middle is between the images: a takes its points to moving, b to fixed, and the pair's map from
fixed to moving is a ∘ b^-1, as in SyN (Avants et al., MedIA 12 (2008)). One velocity v, of the
forces on both images, moves them opposite ways: a <- a ∘ (id + v), b <- b ∘ (id - v). Exchanged
images exchange a and b, and so invert the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pmrpipe.methods.lesions import Lesions
from pmrpipe.methods.refinement import (
    MEMORY,
    MOMENTUM,
    PATIENCE,
    PROGRESS,
    Refinement,
    alike,
    typical_force,
    update_of,
)
from pmrpipe.methods.stops import Ascent
from pmrpipe.spatial.integrate import compose, invert, root
from pmrpipe.spatial.jacobian import gradient
from pmrpipe.spatial.smooth import smoothed
from pmrpipe.spatial.warp import warp


@dataclass(frozen=True, eq=False)
class Halves:
    """Parametrisation by the two ways from the middle.

    both : displacements (2, 3, X, Y, Z), voxels, to moving and to fixed
    """

    both: Tensor

    @classmethod
    def of(cls, displacement: Tensor) -> Halves:
        """Those of a displacement (1, 3, X, Y, Z): its square root, and the inverse of that."""
        half = root(displacement)
        return cls(torch.cat([half, invert(half)]))

    def displacement(self) -> Tensor:
        """From fixed to moving, (1, 3, X, Y, Z)."""
        there, back = self.both.chunk(2)
        return compose(there, invert(back))

    def inverse(self, displacement: Tensor) -> tuple[Tensor, Halves]:
        """From moving to fixed: the two exchanged."""
        exchanged = Halves(self.both.flip(0))
        return exchanged.displacement(), exchanged


def level_halfway(
    moving: Tensor,
    fixed: Tensor,
    first: Tensor,
    plan: Refinement,
    tell: Callable[[int], None],
    lesions: Lesions | None = None,
) -> Tensor:
    """The halves of the highest similarity on the way, as `Halves.both`; `first` likewise.

    Parameters
    ----------
    moving, fixed : (1, 1, X, Y, Z), of the level's voxels
    tell : called with the steps that are done
    lesions : of the level's voxels; None: none
    """
    images, both, ascent = torch.cat([moving, fixed]), first, Ascent(first, PATIENCE, PROGRESS)
    slow, square = torch.zeros_like(first[:1]), first.new_zeros((), dtype=torch.float64)
    for step in range(1, plan.steps + 2):
        warped = warp(images, both)
        counted = None if lesions is None else lesions.counted_halfway(both)
        similarity, slopes = _ascent(warped, plan, counted)
        ascent.add(both, similarity)
        if step > plan.steps or ascent.stuck:
            break
        pulls = gradient(warped)[:, 0] * slopes
        force = smoothed((pulls[:1] - pulls[1:]) / 2, plan.fluid)
        slow = MOMENTUM * slow + (1 - MOMENTUM) * force
        square = MEMORY * square + (1 - MEMORY) * force.square().sum(1).mean().double()
        # Each image goes half of the way.
        update = update_of(slow, typical_force(square, step), step, plan.rate / 2)
        both = smoothed(compose(both, torch.cat([update, -update])), plan.elastic)
        tell(step)
    return ascent.best


def _ascent(
    warped: Tensor, plan: Refinement, counted: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """How alike the two images of the batch are, and its derivative by both, (2, 1, X, Y, Z).

    counted : how much each voxel counts; None: all alike
    """
    with torch.enable_grad():
        leaf = warped.detach().requires_grad_()
        moving, fixed = leaf.chunk(2)
        similarity = alike(fixed, moving, plan, counted)
        (slopes,) = torch.autograd.grad(similarity, leaf)
    return similarity.detach(), slopes
