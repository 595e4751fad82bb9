"""How sure instance optimisation is of a pair: the spread of its results over resampled images.

Registration is repeated while parts of the images count several times or not at all (Kybic, IEEE
TIP 19 (2010) 64-73). What the images determine well comes out alike, and where little holds a
point it moves. Voxels that share a window are no independent draws, so blocks are drawn whole.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from pmrpipe.images.volume import Grid
from pmrpipe.methods.lesions import Lesions
from pmrpipe.methods.posterior import Posterior
from pmrpipe.methods.protocols import Probabilistic

# Edge of the blocks that count alike, mm.
BLOCK_MM = 8.0
# Draws end at this voxel size: the last level hardly moves what they spread.
FINEST_MM = 2.0


@runtime_checkable
class Bootstrapped(Probabilistic, Protocol):
    """Has a posterior of resampled images, whose calibration is its own and not a network's.

    Lesions are left out of the similarity; the images hold them filled.
    """

    uncertainty_factor: float

    def posterior(
        self, moving: Tensor, fixed: Tensor, grid: Grid, lesions: Lesions | None = None
    ) -> Posterior: ...


def drawn_counts(grid: Grid, generator: torch.Generator) -> Tensor:
    """How often each block counts, of a Poisson distribution of mean 1: (1, 1, x, y, z) float32.

    Blocks of about `BLOCK_MM`, over the field of view of `grid`; drawn on the CPU.
    """
    sizes = zip(grid.shape, grid.spacing, strict=True)
    shape = [max(1, round(n * mm / BLOCK_MM)) for n, mm in sizes]
    return torch.poisson(torch.ones(1, 1, *shape), generator)
