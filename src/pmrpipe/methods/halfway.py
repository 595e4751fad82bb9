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

from pmrpipe.methods.forces import LEAST_FORCE, Pair
from pmrpipe.methods.stops import Ascent
from pmrpipe.spatial.integrate import compose, invert, root
from pmrpipe.spatial.resize import resize_displacement, resize_image
from pmrpipe.spatial.smooth import smoothed

# Steps over which the similarity must have risen, and by how much; else a level ends.
_PATIENCE, _PROGRESS = 8, 5e-4
# Decay of the means of the gradient and of its square, as in Adam.
_MOMENTUM, _MEMORY = 0.9, 0.99
# Updates longer than this many typical ones are shortened, so that no voxel runs ahead.
_LONGEST = 3.0


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


def level_halfway(pair: Pair, first: Tensor, tell: Callable[[int], None]) -> Tensor:
    """The halves of the highest similarity on the way, as `Halves.both`; `first` likewise.

    The displacements' grid may be coarser than that of the images: they are interpolated to the
    images' voxels, and the forces there are averaged over theirs.

    Parameters
    ----------
    tell : called with the steps that are done
    """
    plan, both, ascent = pair.plan, first, Ascent(first, _PATIENCE, _PROGRESS)
    slow, square = torch.zeros_like(first[:1]), first.new_zeros((), dtype=torch.float64)
    for step in range(1, plan.steps + 2):
        last = step > plan.steps
        similarity, pull = pair.compare(resize_displacement(both, pair.shape), not last)
        ascent.add(both, similarity)
        if pull is None or ascent.stuck:
            break
        force = smoothed(resize_image(pull, first.shape[2:]), plan.fluid)
        slow = _MOMENTUM * slow + (1 - _MOMENTUM) * force
        square = _MEMORY * square + (1 - _MEMORY) * force.square().sum(1).mean().double()
        # Each image goes half of the way.
        update = _update_of(slow, _typical_force(square, step), step, plan.rate / 2)
        both = smoothed(compose(both, torch.cat([update, -update])), plan.elastic)
        tell(step)
    return ascent.best


def _typical_force(square: Tensor, step: int) -> Tensor:
    """From the running mean of the squared force; where there is nothing to align it is tiny."""
    return (square / (1 - _MEMORY**step)).sqrt().clamp_min(LEAST_FORCE)


def _update_of(slow: Tensor, typical: Tensor, step: int, rate: float) -> Tensor:
    """The update (B, 3, X, Y, Z), voxels, that the running mean of the forces makes."""
    update = slow / ((1 - _MOMENTUM**step) * typical)
    length = update.square().sum(1, keepdim=True).sqrt()
    return update * (rate / (1 + length / _LONGEST))
