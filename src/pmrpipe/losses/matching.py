"""How far a warped image is from the fixed one, in mm^3: what an energy adds to its regulariser.

Both are integrals over the grid, so that the voxel size changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from pmrpipe.losses.similarity import local_correlation, mean_squared_difference


@dataclass(frozen=True)
class SquaredDifference:
    """1 / (2 sigma^2) times the integral of (warped - fixed)^2; images in [0, 1]."""

    sigma: float = 0.2

    def __call__(self, fixed: Tensor, warped: Tensor, spacing: Sequence[float]) -> Tensor:
        volume = math.prod(spacing) * fixed[0].numel()
        return volume * mean_squared_difference(fixed, warped) / (2 * self.sigma**2)


@dataclass(frozen=True)
class LocalCorrelation:
    """1 / (2 sigma^2) times the integral of 1 - cc, cc squared in cubes of `window` voxels."""

    sigma: float = 0.2
    window: int = 5

    def __call__(self, fixed: Tensor, warped: Tensor, spacing: Sequence[float]) -> Tensor:
        volume = math.prod(spacing) * fixed[0].numel()
        lost = 1 - local_correlation(fixed, warped, self.window)
        return volume * lost / (2 * self.sigma**2)
