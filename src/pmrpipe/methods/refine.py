"""Instance optimisation: from a method's answer on, the pair's own warp is optimised.

The idea of Balakrishnan et al., TMI 38 (2019): a network's answer is the start of an
optimisation. The warp grows by composition with the exponentials of small smooth velocities, as
in LDDMM's flows and in the greedy algorithms of ANTs and FireANTs (Christensen et al., TIP 5
(1996); Avants et al., MedIA 12 (2008)): phi <- phi ∘ (id + v). That costs two warps a step,
where the gradient through scaling and squaring costs twelve and more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pmrpipe.base.malloc import keep_freed_memory
from pmrpipe.base.seed import SEED
from pmrpipe.images.volume import Grid
from pmrpipe.losses.features import self_similarity, self_similarity_agreement
from pmrpipe.losses.similarity import counted_local_correlation, local_correlation
from pmrpipe.methods.blockwise import level_in_blocks
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.lesions import Lesions
from pmrpipe.methods.protocols import Method
from pmrpipe.methods.refinement import (
    MEMORY,
    MOMENTUM,
    PATIENCE,
    PROGRESS,
    Refinement,
    typical_force,
    update_of,
)
from pmrpipe.methods.stops import Ascent, value
from pmrpipe.spatial.blocks import in_blocks, is_large
from pmrpipe.spatial.integrate import compose
from pmrpipe.spatial.jacobian import gradient, lowest_jacobian
from pmrpipe.spatial.resize import resize_displacement, resize_image
from pmrpipe.spatial.smooth import reach_of, smoothed
from pmrpipe.spatial.warp import warp

# Rounds of smoothing after which a field that still folds is left as it is.
_MOST_ROUNDS = 50

Tell = Callable[[int, int], None]


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
    levels = plan.levels(finest)
    most, before = sum(map(plan.steps_at, levels)), 0
    for mm in levels:
        inner = grid.rescaled(mm)
        left_out = None if lesions is None else lesions.resized(inner.shape)
        source, target = (resize_image(image, inner.shape) for image in (moving, fixed))
        first = resize_displacement(displacement, inner.shape)

        def told(step: int, before: int = before) -> None:
            if tell is not None:
                tell(before + step, most)

        level = plan.at(mm)
        ascend = level_in_blocks if is_large(inner.shape, plan.whole) else _level
        displacement = ascend(source, target, first, level, told, left_out)
        displacement = unfolded(displacement, level.elastic)
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
    displacement, ascent = first, Ascent(first, PATIENCE, PROGRESS)
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
        slow = MOMENTUM * slow + (1 - MOMENTUM) * force
        square = MEMORY * square + (1 - MEMORY) * force.square().sum(1).mean().double()
        update = update_of(slow, typical_force(square, step), step, plan.rate)
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
    deviation = deviation or 1.0
    for _ in range(_MOST_ROUNDS):
        if value(lowest_jacobian(displacement)) > 0:
            break
        displacement = in_blocks(
            displacement, lambda field: smoothed(field, deviation), reach_of(deviation)
        )
    return displacement


class Greedy:
    """Instance optimisation from the affine normalisation, with no network before it.

    `seed` is there for the interface: nothing is drawn. The others are fields of `Refinement`.
    """

    def __init__(self, seed: int = SEED, **plan: Any) -> None:
        self.plan = Refinement(**plan)

    def register(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """Register (1, 1, X, Y, Z) images; the result lies on the finest level's grid."""
        return refine(moving, fixed, grid, self._start(fixed, grid), self.plan)

    def register_around(
        self, moving: Tensor, fixed: Tensor, grid: Grid, lesions: Lesions
    ) -> Deformation:
        """The same, lesions left out of the similarity."""
        moving, fixed = lesions.filled(moving, fixed)
        return refine(moving, fixed, grid, self._start(fixed, grid), self.plan, lesions=lesions)

    def _start(self, fixed: Tensor, grid: Grid) -> Deformation:
        """No displacement, on the coarsest level's grid."""
        coarse = grid.rescaled(self.plan.levels(min(grid.spacing))[0])
        return Deformation(fixed.new_zeros(1, 3, *coarse.shape), coarse)
