"""What draws the images of a pair together half-way: how alike they are there, and the force.

Grids that are too large to be worked on at once go in overlapping blocks. A block is wide enough
for every neighbour that its own voxels see, and what is a mean over the grid is summed over all
blocks: the result is that of the whole grid but for rounding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pmrpipe.losses.features import REACH, agreement_map, self_similarity, spread_of
from pmrpipe.losses.similarity import counted_correlation_map, local_correlation_map
from pmrpipe.methods.lesions import Lesions
from pmrpipe.methods.refinement import Refinement
from pmrpipe.methods.stops import value
from pmrpipe.spatial.blocks import WHOLE_VOXELS, Block, blocks, is_large, sampled

# On a CPU blocks pay before memory asks for them: what is worked on stays nearer (1 mm, one thread:
# 0.84 of the time, 1.0 GB in place of 2.0).
_CACHED_VOXELS = 1_000_000
# Typical forces below this one are none; float32 holds it.
LEAST_FORCE = 1e-30


@dataclass(frozen=True, eq=False)
class Pair:
    """The images of a level, (1, 1, X, Y, Z), and their lesions on the same voxels.

    counts : how much each voxel half-way counts besides, (1, 1, X, Y, Z); None: all alike
    """

    moving: Tensor
    fixed: Tensor
    plan: Refinement
    lesions: Lesions
    counts: Tensor | None = None

    @property
    def shape(self) -> torch.Size:
        """Of the images' grid."""
        return self.fixed.shape[2:]

    def compare(self, both: Tensor, pulled: bool) -> tuple[Tensor, Tensor | None]:
        """How alike the warped images are, and the force on the points that go to moving.

        Parameters
        ----------
        both : displacements (2, 3, X, Y, Z), voxels of this grid, to moving and to fixed
        pulled : whether the force is wanted

        Returns
        -------
        similarity : a scalar, the mean over the voxels that count
        force : (1, 3, X, Y, Z), the gradient of the sum by the points that go to moving, less that
            by those that go to fixed, halved; None where it is not wanted
        """
        spreads = self._spreads(both) if self.plan.across and self._large else (None, None)
        sums = both.new_zeros(2, dtype=torch.float64)
        force = torch.zeros_like(both[:1]) if pulled else None
        for block in self._blocks():
            warped = self._warped(block, both)
            counted = self._counted(block, both)
            times = None if self.counts is None else block.seen(self.counts)
            if not (self.plan.across or self._anything(warped)):
                sums[1] += _voxels(block, counted, times)
                continue
            similar, counts, slopes = self._slopes(warped, counted, spreads)
            if times is not None:
                similar, counts = similar * times, counts * times
                slopes = tuple(slope * times for slope in slopes)
            parts = [block.kept(part).sum(dtype=torch.float64) for part in (similar, counts)]
            sums += torch.stack(parts)
            if force is not None:
                force[(..., *block.core)] = block.kept(between(warped, slopes))
        similarity, counts = sums.unbind()
        return similarity / counts.clamp(min=1), force

    @property
    def _large(self) -> bool:
        whole = self.plan.whole
        if whole is None:
            whole = WHOLE_VOXELS if self.fixed.is_cuda else _CACHED_VOXELS
        return is_large(self.shape, whole)

    def _blocks(self) -> Iterator[Block]:
        """The whole grid as one block where it is not large."""
        if not self._large:
            return blocks(self.shape, 0, max(self.shape))
        return blocks(self.shape, self._seen)

    @property
    def _seen(self) -> int:
        """Voxels that a slope of the similarity sees around its own."""
        return REACH * 2 if self.plan.across else max(1, self.plan.window // 2 * 2)

    def _warped(self, block: Block, both: Tensor) -> tuple[Tensor, Tensor]:
        there, back = block.seen(both).split(1)
        return sampled(self.moving, block, there), sampled(self.fixed, block, back)

    def _spreads(self, both: Tensor) -> tuple[Tensor, ...]:
        """Mean spread of the descriptors of each warped image, which a block does not know."""
        sums = both.new_zeros(2, dtype=torch.float64)
        for block in self._blocks():
            spreads = (block.kept(spread_of(image)) for image in self._warped(block, both))
            sums += torch.stack([spread.sum(dtype=torch.float64) for spread in spreads])
        return (sums / self.shape.numel()).float().unbind()

    def _slopes(
        self,
        warped: tuple[Tensor, Tensor],
        counted: Tensor | None,
        spreads: tuple[Tensor | None, ...],
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Each voxel's part in the similarity, how much it counts, the slopes by both images.

        All (1, 1, x, y, z) on the wide part of a block.
        """
        window = self.plan.window
        if counted is None and not self.plan.across:
            similar, slopes = local_correlation_map(*warped, window)
            return similar, torch.ones_like(similar), slopes
        with torch.enable_grad():
            moving, fixed = (image.detach().requires_grad_() for image in warped)
            if self.plan.across:
                known = self_similarity(fixed, middle=spreads[1])
                similar, counts = agreement_map(known, moving, spreads[0], counted)
            else:
                assert counted is not None
                similar, counts = counted_correlation_map(fixed, moving, counted, window), counted
            slopes = torch.autograd.grad(similar.sum(), [moving, fixed])
        return similar.detach(), counts, slopes

    def _counted(self, block: Block, both: Tensor) -> Tensor | None:
        """How much each voxel of the middle counts: 0 in a lesion of either; None: all alike."""
        out = None
        masks = (self.lesions.moving, self.lesions.fixed)
        for mask, displacement in zip(masks, block.seen(both).split(1), strict=True):
            if mask is not None:
                healthy = 1 - sampled(mask, block, displacement)
                out = healthy if out is None else out * healthy
        return None if out is None else out.clamp(0, 1)

    def _anything(self, warped: tuple[Tensor, Tensor]) -> bool:
        """Whether both images are seen: a single block is not asked, which costs a reading."""
        if not self._large:
            return True
        return all(value(image.any()) != 0 for image in warped)


def _voxels(block: Block, *counts: Tensor | None) -> Tensor | int:
    """How many voxels a block adds to what is counted; `counts` on its wide part, None for 1."""
    known = [block.kept(count) for count in counts if count is not None]
    return math.prod(known[1:], start=known[0]).sum() if known else block.voxels


def between(warped: Sequence[Tensor], slopes: Sequence[Tensor]) -> Tensor:
    """The force on the middle's points, (B, 3, x, y, z) of `Pair.compare`, from the slopes.

    By one axis after the other, which needs less memory than all at once.
    """
    axes = []
    for axis in (2, 3, 4):
        there, back = (
            torch.gradient(image, dim=axis)[0].mul_(slope)
            for image, slope in zip(warped, slopes, strict=True)
        )
        axes.append(there.sub_(back).div_(2))
    return torch.cat(axes, 1)
