"""What one training step shows a method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pmrpipe.images.volume import Grid
from pmrpipe.methods.deformation import Deformation


@dataclass(frozen=True, eq=False)
class Batch:
    """Pairs of images on the network's grid, and what a method may learn from besides them.

    moving, fixed : (B, 1, X, Y, Z) in [0, 1]
    grid : that of the images
    target : what a teacher says of these pairs, on the same grid: its deformation, or tensors by
        name, the first axis of each the batch; None without a teacher
    alike : the images before their contrasts were changed, which a similarity compares; None: they
        are moving and fixed. A method that looks at it says so (`NetworkMethod.learns_contrasts`)
    where : (B, 1, X, Y, Z), how much each voxel of the fixed image counts: with a teacher 1 in its
        brain and 0 outside, where a deformation means nothing; None: all alike
    """

    moving: Tensor
    fixed: Tensor
    grid: Grid
    target: Deformation | Mapping[str, Tensor] | None = None
    where: Tensor | None = None
    alike: tuple[Tensor, Tensor] | None = None

    @property
    def compared(self) -> tuple[Tensor, Tensor]:
        """Moving and fixed in one contrast."""
        return self.alike or (self.moving, self.fixed)

    def both_ways(self) -> Batch:
        """Every pair, and after them every pair exchanged: a target becomes its inverse too.

        `where` belongs to the fixed images of one way alone, and is left out.

        Raises
        ------
        ValueError : the target is not a deformation, and so has no inverse
        """
        if isinstance(self.target, Mapping):
            raise ValueError("only a deformation can be learned both ways")
        return replace(
            self,
            moving=torch.cat([self.moving, self.fixed]),
            fixed=torch.cat([self.fixed, self.moving]),
            target=None if self.target is None else self.target.both_ways(),
            where=None,
            alike=self.alike and (torch.cat(self.alike), torch.cat(self.alike[::-1])),
        )
