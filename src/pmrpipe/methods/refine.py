"""Instance optimisation: from a method's answer on, the pair's own warp is optimised.

The idea of Balakrishnan et al., TMI 38 (2019): a network's answer is the start of an
optimisation. The warp grows by composition with the exponentials of small smooth velocities, as
in LDDMM's flows and in the greedy algorithms of ANTs and FireANTs (Christensen et al., TIP 5
(1996); Avants et al., MedIA 12 (2008)), half-way between the images (halfway.py). That costs two
warps a step and image, where the gradient through scaling and squaring costs twelve and more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pmrpipe.base.malloc import keep_freed_memory
from pmrpipe.base.seed import SEED
from pmrpipe.images.volume import Grid
from pmrpipe.methods.bootstrap import FINEST_MM, drawn_counts
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.forces import Pair
from pmrpipe.methods.halfway import Halves, level_halfway
from pmrpipe.methods.lesions import Lesions
from pmrpipe.methods.posterior import Posterior
from pmrpipe.methods.protocols import Method, Starts
from pmrpipe.methods.refinement import Refinement
from pmrpipe.methods.stops import value
from pmrpipe.spatial.jacobian import lowest_jacobian
from pmrpipe.spatial.resize import resize_displacement, resize_image
from pmrpipe.spatial.smooth import smoothed

# Error by spread of resampled optimisations, root mean squares where the warp is known
# (docs/report.md).
UNCERTAINTY_FACTOR = 5.9
# Rounds of smoothing after which a field that still folds is left as it is.
_MOST_ROUNDS = 50

Tell = Callable[[int, int], None]


class Refined:
    """A method followed by instance optimisation."""

    uncertainty_factor = UNCERTAINTY_FACTOR

    def __init__(self, method: Method, plan: Refinement, tell: Tell | None = None) -> None:
        self.method, self.plan, self.tell = method, plan, tell

    def register(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """Register (1, 1, X, Y, Z) images; the result's grid is that of `refine`."""
        start = self._start(moving, fixed, grid)
        return refine(moving, fixed, grid, start, self.plan, self.tell)

    def register_around(
        self, moving: Tensor, fixed: Tensor, grid: Grid, lesions: Lesions
    ) -> Deformation:
        """The same, lesions left out; what comes before sees them filled."""
        # Filled, so that no interpolation and no coarse voxel mixes a lesion into what counts.
        moving, fixed = lesions.filled(moving, fixed)
        start = self._start(moving, fixed, grid)
        return refine(moving, fixed, grid, start, self.plan, self.tell, lesions)

    def posterior(
        self, moving: Tensor, fixed: Tensor, grid: Grid, lesions: Lesions | None = None
    ) -> Posterior:
        """What the optimisation makes of resampled images, from the method's answer on."""
        start = self._start(moving, fixed, grid)
        return _resampled((moving, fixed), grid, start, self.plan, lesions)

    def _start(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        if isinstance(self.method, Starts) and self.plan.steps:
            return self.method.start(moving, fixed, grid)
        return self.method.register(moving, fixed, grid)


def _resampled(
    images: tuple[Tensor, Tensor],
    grid: Grid,
    start: Deformation,
    plan: Refinement,
    lesions: Lesions | None,
) -> Posterior:
    """Draws count blocks of the images anew, and optimise again (bootstrap.py)."""
    plan = plan.down_to(max(plan.finest, FINEST_MM))

    def draw(generator: torch.Generator) -> Tensor:
        counts = drawn_counts(grid, generator).to(images[0].device)
        return refine(*images, grid, start, plan, lesions=lesions, counts=counts).displacement

    return Posterior(draw, plan.displacements(grid, plan.levels(min(grid.spacing))[-1]))


@torch.no_grad()
def refine(
    moving: Tensor,
    fixed: Tensor,
    grid: Grid,
    start: Deformation,
    plan: Refinement,
    tell: Tell | None = None,
    lesions: Lesions | None = None,
    counts: Tensor | None = None,
) -> Deformation:
    """Optimise the displacement of `start` level by level; the same bits every time.

    Both images move, and the result has an inverse of its own. No level ends less similar than it
    began, unless it folds: then it is smoothed until it does not, at most fifty times. `tell` is
    called with the steps done and the most that there can be. The result's grid is that of the
    last level's displacements, `Refinement.displacements`.

    Parameters
    ----------
    moving, fixed : (1, 1, X, Y, Z) on `grid`, in [0, 1]
    counts : (1, 1, x, y, z), how much the images half-way count, over the same field of view
    """
    keep_freed_memory()
    levels = plan.levels(min(grid.spacing))
    if not plan.steps:
        return start.resampled(plan.displacements(grid, levels[-1]))
    progress = _Progress(sum(map(plan.steps_at, levels)), tell)
    both, inner = None, start.grid
    for mm in levels:
        inner, level = plan.displacements(grid, mm), plan.at(mm)
        pair = _resized((moving, fixed), lesions, counts, grid.rescaled(mm).shape, level)
        if both is None:
            both = Halves.of(resize_displacement(start.displacement, inner.shape)).both
        first = resize_displacement(both, inner.shape)
        both = unfolded(level_halfway(pair, first, progress.of(level)), level.elastic)
    assert both is not None
    halves = Halves(both)
    displacement = halves.displacement()
    whole = unfolded(displacement, plan.elastic)
    return Deformation(whole, inner, halves if whole is displacement else None)


def _resized(
    images: tuple[Tensor, Tensor],
    lesions: Lesions | None,
    counts: Tensor | None,
    shape: tuple[int, int, int],
    plan: Refinement,
) -> Pair:
    """The images of a level, and what counts of them."""
    moving, fixed = (resize_image(image, shape) for image in images)
    counts = None if counts is None else resize_image(counts, shape)
    return Pair(moving, fixed, plan, (lesions or Lesions()).resized(shape), counts)


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


def unfolded(displacement: Tensor, deviation: float) -> Tensor:
    """Smoothed until its Jacobian determinant is positive at every voxel."""
    deviation = deviation or 1.0
    for _ in range(_MOST_ROUNDS):
        if value(lowest_jacobian(displacement)) > 0:
            break
        displacement = smoothed(displacement, deviation)
    return displacement


class Greedy:
    """Instance optimisation from the affine normalisation, with no network before it.

    `seed` is there for the interface: nothing is drawn. The others are fields of `Refinement`.
    """

    uncertainty_factor = UNCERTAINTY_FACTOR

    def __init__(self, seed: int = SEED, **plan: Any) -> None:
        self.plan = Refinement(**plan)

    def register(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """Register (1, 1, X, Y, Z) images; the result's grid is that of `refine`."""
        return refine(moving, fixed, grid, self._start(fixed, grid), self.plan)

    def register_around(
        self, moving: Tensor, fixed: Tensor, grid: Grid, lesions: Lesions
    ) -> Deformation:
        """The same, lesions left out of the similarity."""
        moving, fixed = lesions.filled(moving, fixed)
        return refine(moving, fixed, grid, self._start(fixed, grid), self.plan, lesions=lesions)

    def posterior(
        self, moving: Tensor, fixed: Tensor, grid: Grid, lesions: Lesions | None = None
    ) -> Posterior:
        """What the optimisation makes of resampled images."""
        return _resampled((moving, fixed), grid, self._start(fixed, grid), self.plan, lesions)

    def _start(self, fixed: Tensor, grid: Grid) -> Deformation:
        """No displacement, on the coarsest level's grid."""
        coarse = grid.rescaled(self.plan.levels(min(grid.spacing))[0])
        return Deformation(fixed.new_zeros(1, 3, *coarse.shape), coarse)
