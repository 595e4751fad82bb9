"""A level of instance optimisation in overlapping blocks, for grids too large to be held whole.

Every step goes over the blocks twice: forces from the images, then the displacement moved by them.
A block is wide enough for every neighbour that its own voxels see, and what couples the whole, the
typical force and the similarity, is summed over all blocks before it is used: the result is that of
the whole grid but for rounding. Kept are the images and four fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from pmrpipe.losses.features import REACH, agreement_map, self_similarity, spread_of
from pmrpipe.losses.similarity import counted_correlation_map, local_correlation_map
from pmrpipe.methods.lesions import Lesions
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
from pmrpipe.spatial.blocks import Block, blocks, sampled
from pmrpipe.spatial.jacobian import gradient
from pmrpipe.spatial.smooth import reach_of, smoothed


def level_in_blocks(
    moving: Tensor,
    fixed: Tensor,
    first: Tensor,
    plan: Refinement,
    tell: Callable[[int], None],
    lesions: Lesions | None = None,
) -> Tensor:
    """The displacement of the highest similarity on the way; arguments as of the whole level."""
    level = _Level(moving, fixed, plan, lesions or Lesions())
    displacement, ascent = first, Ascent(first, PATIENCE, PROGRESS)
    slow, square = torch.zeros_like(first), first.new_zeros((), dtype=torch.float64)
    for step in range(1, plan.steps + 2):
        last = step > plan.steps
        similarity, squares = level.pull(displacement, None if last else slow)
        ascent.add(displacement, similarity)
        if last or ascent.stuck:
            break
        square = MEMORY * square + (1 - MEMORY) * squares
        displacement = level.moved(displacement, slow, typical_force(square, step), step)
        tell(step)
    return ascent.best


@dataclass(eq=False)
class _Level:
    """The images of a level, (1, 1, X, Y, Z), and what is done to its fields.

    middles : of two contrasts: mean spread of the fixed and of the warped image's descriptors
    """

    moving: Tensor
    fixed: Tensor
    plan: Refinement
    lesions: Lesions
    middles: tuple[Tensor, Tensor] | None = None

    def pull(self, displacement: Tensor, slow: Tensor | None) -> tuple[Tensor, Tensor]:
        """The similarity, and the mean square of the force, which the running mean takes in.

        slow : running mean of the forces, changed in place; None: the similarity alone
        """
        if self.plan.across:
            self.middles = self._spreads(displacement)
        sums = displacement.new_zeros(3, dtype=torch.float64)
        for block in self._blocks(self._seen + reach_of(self.plan.fluid)):
            parts, force = self._force(block, displacement, slow is not None)
            if slow is not None:
                own = slow[(..., *block.core)].mul_(MOMENTUM)
                if force is not None:
                    own.add_(force, alpha=1 - MOMENTUM)
            sums += parts
        similarity, counted, squares = sums.unbind()
        return similarity / counted.clamp(min=1), squares / self.fixed.numel()

    def moved(self, displacement: Tensor, slow: Tensor, typical: Tensor, step: int) -> Tensor:
        """The displacement after one update."""
        out, plan = torch.empty_like(displacement), self.plan
        for block in self._blocks(reach_of(plan.elastic)):
            push, field = block.seen(slow), block.seen(displacement)
            if _anything(push):
                update = update_of(push, typical, step, plan.rate)
                field = update + sampled(displacement, block, update, "border")
            out[(..., *block.core)] = block.kept(smoothed(field, plan.elastic))
        return out

    def _spreads(self, displacement: Tensor) -> tuple[Tensor, Tensor]:
        """Mean spread of the descriptors of the fixed and of the warped image."""
        sums = displacement.new_zeros(2, dtype=torch.float64)
        for block in self._blocks(self._seen):
            warped = sampled(self.moving, block, block.seen(displacement))
            images = (block.seen(self.fixed), warped)
            parts = [block.kept(spread_of(one)).sum(dtype=torch.float64) for one in images]
            sums += torch.stack(parts)
        fixed, moving = (sums / self.fixed.numel()).float().unbind()
        return fixed, moving

    @property
    def _seen(self) -> int:
        """Voxels that the slope of the similarity sees around its own."""
        return REACH * 2 if self.plan.across else max(1, self.plan.window // 2 * 2)

    def _blocks(self, reach: int) -> Iterator[Block]:
        return blocks(self.fixed.shape[2:], reach)

    def _force(
        self, block: Block, displacement: Tensor, wanted: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Sums over the core of similarity, of what counts and of the squared force; the force.

        There is no force where it is not wanted, and none where an image is empty: of two
        contrasts that would still be a similarity.
        """
        fixed, field = block.seen(self.fixed), block.seen(displacement)
        zero = displacement.new_zeros((), dtype=torch.float64)
        warped = None
        if self.plan.across or _anything(fixed):
            warped = sampled(self.moving, block, field)
        if warped is None or not (self.plan.across or _anything(warped)):
            return torch.stack([zero, zero + block.voxels, zero]), None
        similar, counts, slope = self._ascent(fixed, warped, self._counted(block, field))
        sums = [block.kept(part).sum(dtype=torch.float64) for part in (similar, counts)]
        if not wanted:
            return torch.stack([*sums, zero]), None
        force = gradient(warped)[:, 0] * (slope / self.fixed.numel())
        force = block.kept(smoothed(force, self.plan.fluid))
        return torch.stack([*sums, force.square().sum(dtype=torch.float64)]), force

    def _ascent(
        self, fixed: Tensor, warped: Tensor, counted: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Each voxel's part in the similarity, how much it counts, the slope by the warped image.

        All (1, 1, x, y, z) on the wide part of a block.
        """
        window = self.plan.window
        if not self.plan.across and counted is None:
            similar, slope = local_correlation_map(fixed, warped, window)
            return similar, torch.ones_like(similar), slope
        with torch.enable_grad():
            leaf = warped.detach().requires_grad_()
            if self.middles is not None:
                known = self_similarity(fixed, middle=self.middles[0])
                similar, counts = agreement_map(known, leaf, self.middles[1], counted)
            else:
                assert counted is not None
                similar = counted_correlation_map(fixed, leaf, counted, window)
                counts = counted
            (slope,) = torch.autograd.grad(similar.sum(), leaf)
        return similar.detach(), counts, slope

    def _counted(self, block: Block, field: Tensor) -> Tensor | None:
        """As `Lesions.counted`, on the wide part of a block; None: all voxels alike."""
        fixed, moving = self.lesions.fixed, self.lesions.moving
        if fixed is None and moving is None:
            return None
        out = torch.ones_like(field[:, :1])
        if fixed is not None:
            out = out * (1 - block.seen(fixed))
        if moving is not None:
            out = out * (1 - sampled(moving, block, field))
        return out.clamp(0, 1)


def _anything(values: Tensor) -> bool:
    return value(values.any()) != 0
