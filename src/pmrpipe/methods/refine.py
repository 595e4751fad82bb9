"""Instance optimisation: from a method's answer on, the pair's own warp is optimised.

The idea of Balakrishnan et al., TMI 38 (2019): a network's answer is the start of an
optimisation. The warp grows by composition with the exponentials of small smooth velocities, as
in LDDMM's flows and in the greedy algorithms of ANTs and FireANTs (Christensen et al., TIP 5
(1996); Avants et al., MedIA 12 (2008)): phi <- phi ∘ (id + v). That costs two warps a step,
where the gradient through scaling and squaring costs twelve and more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pmrpipe.base.malloc import keep_freed_memory
from pmrpipe.base.seed import SEED
from pmrpipe.images.volume import Grid
from pmrpipe.losses.features import self_similarity, self_similarity_agreement
from pmrpipe.losses.similarity import counted_local_correlation, local_correlation
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.lesions import Lesions
from pmrpipe.methods.protocols import Method
from pmrpipe.methods.stops import Ascent, read
from pmrpipe.spatial.integrate import compose
from pmrpipe.spatial.jacobian import gradient, jacobian_determinant
from pmrpipe.spatial.resize import resize_displacement, resize_image
from pmrpipe.spatial.smooth import smoothed
from pmrpipe.spatial.warp import warp

# Steps over which the similarity must have risen, and by how much; else a level ends.
_PATIENCE, _PROGRESS = 8, 5e-4
# Decay of the means of the gradient and of its square, as in Adam.
_MOMENTUM, _MEMORY = 0.9, 0.99
# Updates longer than this many typical ones are shortened, so that no voxel runs ahead.
_LONGEST = 3.0
# Levels finer than this take fewer steps.
_COSTLY_MM = 1.9
# Typical forces below this one are none; float32 holds it.
_LEAST = 1e-30
# Rounds of smoothing after which a field that still folds is left as it is.
_MOST_ROUNDS = 50

Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class Refinement:
    """How a pair is optimised.

    steps : most steps on each level; a quarter of them on levels finer than 2 mm, which cost
        eight times as much and have little left to do
    mm : voxel size of each level, coarse to fine; those finer than the images are left out
    rate : typical length of an update, voxels
    window : edge of the local correlation's cube, voxels
    fluid, elastic : deviation, voxels, of the Gaussian that smooths each update, and of the one
        that smooths the whole displacement after it: the prior
    across : the images are of two contrasts: their self-similarities are compared
    """

    steps: int = 40
    mm: tuple[float, ...] = (8.0, 4.0, 2.0, 1.0)
    rate: float = 0.3
    window: int = 5
    fluid: float = 1.0
    elastic: float = 0.7
    across: bool = False

    def down_to(self, finest: float) -> Refinement:
        """The same without levels finer than `finest` mm; the coarsest one stays."""
        return replace(self, mm=tuple(mm for mm in self.mm if mm >= finest) or self.mm[:1])

    def steps_at(self, mm: float) -> int:
        """Most steps on a level of so many mm."""
        return self.steps if mm > _COSTLY_MM else -(-self.steps // 4)


class Refined:
    """A method followed by instance optimisation."""

    def __init__(self, method: Method, plan: Refinement, tell: Tell | None = None) -> None:
        self.method, self.plan, self.tell = method, plan, tell

    def register(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """Register (1, 1, X, Y, Z) images; the result lies on the finest level's grid."""
        start = self.method.register(moving, fixed, grid)
        return refine(moving, fixed, grid, start, self.plan, self.tell)

    def register_around(
        self, moving: Tensor, fixed: Tensor, grid: Grid, lesions: Lesions
    ) -> Deformation:
        """The same, lesions left out; what comes before sees them filled."""
        # Filled, so that no interpolation and no coarse voxel mixes a lesion into what counts.
        moving, fixed = lesions.filled(moving, fixed)
        start = self.method.register(moving, fixed, grid)
        return refine(moving, fixed, grid, start, self.plan, self.tell, lesions)


@torch.no_grad()
def refine(
    moving: Tensor,
    fixed: Tensor,
    grid: Grid,
    start: Deformation,
    plan: Refinement,
    tell: Tell | None = None,
    lesions: Lesions | None = None,
) -> Deformation:
    """Optimise the displacement of `start` level by level; the same bits every time.

    No level ends less similar than it began, unless it folds: then it is smoothed until it does
    not, at most fifty times. `tell` is called with the steps done and the most that there can be.

    Parameters
    ----------
    moving, fixed : (1, 1, X, Y, Z) on `grid`, in [0, 1]
    """
    keep_freed_memory()
    displacement, inner = start.displacement, start.grid
    finest = min(grid.spacing)
    levels = [mm for mm in plan.mm if mm > 0.99 * finest] or [finest]
    most, before = sum(map(plan.steps_at, levels)), 0
    for mm in levels:
        inner = grid.rescaled(mm)
        left_out = None if lesions is None else lesions.resized(inner.shape)
        source, target = (resize_image(image, inner.shape) for image in (moving, fixed))
        first = resize_displacement(displacement, inner.shape)

        def told(step: int, before: int = before) -> None:
            if tell is not None:
                tell(before + step, most)

        level = replace(plan, steps=plan.steps_at(mm))
        displacement = unfolded(_level(source, target, first, level, told, left_out), plan.elastic)
        before += level.steps
    return Deformation(displacement, inner)


def _level(
    moving: Tensor,
    fixed: Tensor,
    first: Tensor,
    plan: Refinement,
    tell: Callable[[int], None],
    lesions: Lesions | None = None,
) -> Tensor:
    """The displacement of the highest local correlation on the way."""
    displacement, ascent = first, Ascent(first, _PATIENCE, _PROGRESS)
    slow, square = torch.zeros_like(first), first.new_zeros((), dtype=torch.float64)
    known = self_similarity(fixed) if plan.across else fixed
    for step in range(1, plan.steps + 2):
        warped = warp(moving, displacement)
        counted = None if lesions is None else lesions.counted(displacement)
        similarity, slope = _ascent(known, warped, plan, counted)
        ascent.add(displacement, similarity)
        if step > plan.steps or ascent.stuck:
            break
        force = smoothed(gradient(warped)[:, 0] * slope, plan.fluid)
        slow = _MOMENTUM * slow + (1 - _MOMENTUM) * force
        square = _MEMORY * square + (1 - _MEMORY) * force.square().sum(1).mean().double()
        # Where there is nothing to align, the force and so the update are 0.
        typical = (square / (1 - _MEMORY**step)).sqrt().clamp_min(_LEAST)
        update = slow / ((1 - _MOMENTUM**step) * typical)
        length = update.square().sum(1, keepdim=True).sqrt()
        update = update * (plan.rate / (1 + length / _LONGEST))
        displacement = smoothed(compose(displacement, update), plan.elastic)
        tell(step)
    return ascent.best


def _ascent(
    fixed: Tensor, warped: Tensor, plan: Refinement, counted: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """How alike the images are, and its derivative by the warped one, (B, 1, X, Y, Z).

    Parameters
    ----------
    fixed : the image; of two contrasts its self-similarity
    counted : how much each voxel counts; None: all alike
    """
    with torch.enable_grad():
        leaf = warped.detach().requires_grad_()
        if plan.across:
            similarity = self_similarity_agreement(fixed, leaf, counted)
        elif counted is None:
            similarity = local_correlation(fixed, leaf, plan.window)
        else:
            similarity = counted_local_correlation(fixed, leaf, counted, plan.window)
        (slope,) = torch.autograd.grad(similarity, leaf)
    return similarity.detach(), slope


def unfolded(displacement: Tensor, deviation: float) -> Tensor:
    """Smoothed until its Jacobian determinant is positive at every voxel."""
    for _ in range(_MOST_ROUNDS):
        lowest = read([jacobian_determinant(displacement).min()])
        if lowest is None or lowest[0] > 0:
            break
        displacement = smoothed(displacement, deviation or 1.0)
    return displacement


class Greedy:
    """Instance optimisation from the affine normalisation, with no network before it.

    `seed` is there for the interface: nothing is drawn. The others are fields of `Refinement`.
    """

    def __init__(self, seed: int = SEED, **plan: Any) -> None:
        self.plan = Refinement(**plan)

    def register(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """Register (1, 1, X, Y, Z) images; the result lies on the finest level's grid."""
        start = Deformation(fixed.new_zeros(1, 3, *grid.shape), grid)
        return refine(moving, fixed, grid, start, self.plan)

    def register_around(
        self, moving: Tensor, fixed: Tensor, grid: Grid, lesions: Lesions
    ) -> Deformation:
        """The same, lesions left out of the similarity."""
        start = Deformation(fixed.new_zeros(1, 3, *grid.shape), grid)
        return refine(*lesions.filled(moving, fixed), grid, start, self.plan, lesions=lesions)
