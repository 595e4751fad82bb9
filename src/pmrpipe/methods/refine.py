"""Instance optimisation: from a method's answer on, the pair's own warp is optimised.

The idea of Balakrishnan et al., TMI 38 (2019): a network's answer is the start of an
optimisation. The warp grows by composition with the exponentials of small smooth velocities, as
in LDDMM's flows and in the greedy algorithms of ANTs and FireANTs (Christensen et al., TIP 5
(1996); Avants et al., MedIA 12 (2008)), half-way between the images (halfway.py). That costs two
warps a step and image, where the gradient through scaling and squaring costs twelve and more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pmrpipe.base.malloc import keep_freed_memory
from pmrpipe.base.seed import SEED
from pmrpipe.images.volume import Grid
from pmrpipe.methods.blockwise import level_in_blocks
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.halfway import Halves, level_halfway
from pmrpipe.methods.lesions import Lesions
from pmrpipe.methods.protocols import Method
from pmrpipe.methods.refinement import (
    MEMORY,
    MOMENTUM,
    ORDINARY_MM,
    PATIENCE,
    PROGRESS,
    Refinement,
    alike,
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

    Both images move, and the result has an inverse of its own; below 1 mm, and on grids that go in
    blocks, the moving image alone moves. No level ends less similar than it began, unless it
    folds: then it is smoothed until it does not, at most fifty times. `tell` is called with the
    steps done and the most that there can be.

    Parameters
    ----------
    moving, fixed : (1, 1, X, Y, Z) on `grid`, in [0, 1]
    """
    keep_freed_memory()
    levels = plan.levels(min(grid.spacing))
    if not plan.steps:
        return start.resampled(grid.rescaled(levels[-1]))
    pair = _Pair(moving, fixed, grid, lesions)
    progress = _Progress(sum(map(plan.steps_at, levels)), tell)
    halfway = [mm for mm in levels if _goes_halfway(grid.rescaled(mm), plan)]
    deformation = _halfway(pair, start, plan, halfway, progress)
    for mm in levels[len(halfway) :]:
        inner, moving, fixed = pair.at(mm)
        level, first = plan.at(mm), resize_displacement(deformation.displacement, inner.shape)
        told, left_out = progress.of(level), pair.left_out(mm)
        ascend = level_in_blocks if is_large(inner.shape, plan.whole) else one_sided
        displacement = ascend(moving, fixed, first, level, told, left_out)
        deformation = Deformation(unfolded(displacement, level.elastic), inner)
    return deformation


def _goes_halfway(inner: Grid, plan: Refinement) -> bool:
    """Whether both images move: finer and larger grids have no room for the fields of both."""
    return min(inner.spacing) > 0.99 * ORDINARY_MM and not is_large(inner.shape, plan.whole)


def _halfway(
    pair: _Pair, start: Deformation, plan: Refinement, levels: list[float], progress: _Progress
) -> Deformation:
    """The levels on which both images move."""
    both, inner = None, start.grid
    for mm in levels:
        inner, moving, fixed = pair.at(mm)
        if both is None:
            both = Halves.of(resize_displacement(start.displacement, inner.shape)).both
        level, first = plan.at(mm), resize_displacement(both, inner.shape)
        told, left_out = progress.of(level), pair.left_out(mm)
        both = level_halfway(moving, fixed, first, level, told, left_out)
        both = unfolded(both, level.elastic)
    if both is None:
        return start
    halves = Halves(both)
    displacement = halves.displacement()
    whole = unfolded(displacement, plan.elastic)
    return Deformation(whole, inner, halves if whole is displacement else None)


@dataclass(frozen=True, eq=False)
class _Pair:
    """Images (1, 1, X, Y, Z) on `grid`, and what is left out of them."""

    moving: Tensor
    fixed: Tensor
    grid: Grid
    lesions: Lesions | None

    def at(self, mm: float) -> tuple[Grid, Tensor, Tensor]:
        """The grid of a level, and both images on it."""
        inner = self.grid.rescaled(mm)
        moving, fixed = (resize_image(image, inner.shape) for image in (self.moving, self.fixed))
        return inner, moving, fixed

    def left_out(self, mm: float) -> Lesions | None:
        return None if self.lesions is None else self.lesions.resized(self.grid.rescaled(mm).shape)


class _Progress:
    """Tells the steps that are done over all levels, and the most that there can be."""

    def __init__(self, most: int, tell: Tell | None) -> None:
        self._most, self._tell, self._before = most, tell, 0

    def of(self, level: Refinement) -> Callable[[int], None]:
        """What the next level calls after each of its steps."""
        before = self._before
        self._before += level.steps

        def told(step: int) -> None:
            if self._tell is not None:
                self._tell(before + step, self._most)

        return told


def one_sided(
    moving: Tensor,
    fixed: Tensor,
    first: Tensor,
    plan: Refinement,
    tell: Callable[[int], None],
    lesions: Lesions | None = None,
) -> Tensor:
    """The displacement of the highest local correlation on the way; the moving image moves."""
    displacement, ascent = first, Ascent(first, PATIENCE, PROGRESS)
    slow, square = torch.zeros_like(first), first.new_zeros((), dtype=torch.float64)
    for step in range(1, plan.steps + 2):
        warped = warp(moving, displacement)
        counted = None if lesions is None else lesions.counted(displacement)
        similarity, slope = _ascent(fixed, warped, plan, counted)
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

    counted : how much each voxel counts; None: all alike
    """
    with torch.enable_grad():
        leaf = warped.detach().requires_grad_()
        similarity = alike(fixed, leaf, plan, counted)
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
