"""How sure a probabilistic network is: the spread of displacements drawn from its posterior."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pmrpipe.images.volume import Grid


@dataclass(frozen=True)
class Posterior:
    """The displacements that a network holds possible for one pair.

    draw : a generator on the CPU to one displacement (1, 3, X, Y, Z) in voxels of `grid`
    """

    draw: Callable[[torch.Generator], Tensor]
    grid: Grid

    def deviation(self, samples: int, seed: int) -> Tensor:
        """Standard deviation of the displacement in mm, (X, Y, Z), from `samples` (>= 2) draws.

        It is the root of the summed variances of the three components: what a draw misses the
        mean by, root mean squared. Mean and variance run along (Welford, Technometrics 4, 1962),
        so that the memory does not grow with the number of draws.
        """
        if samples < 2:
            raise ValueError(f"a deviation needs two samples, not {samples}")
        generator = torch.Generator().manual_seed(seed)
        mean = squares = torch.zeros(())
        for count in range(1, samples + 1):
            drawn = self.draw(generator)
            drawn = drawn * drawn.new_tensor(self.grid.spacing).view(1, 3, 1, 1, 1)
            before = drawn - mean.to(drawn)
            mean = mean.to(drawn) + before / count
            squares = squares.to(drawn) + (before * (drawn - mean)).sum(1)
        return (squares[0].clamp(min=0) / (samples - 1)).sqrt()
