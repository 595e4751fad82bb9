"""A geodesic as what a deformation was made from: kept, shot again, scaled and averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

from torch import Tensor

from pmrpipe.images.volume import Grid
from pmrpipe.methods.deformation import Deformation
from pmrpipe.spatial.geodesic import Path, Shooting, shoot
from pmrpipe.spatial.kernels import Kernel, KernelOnGrid
from pmrpipe.spatial.resize import resize_image


@dataclass(frozen=True, eq=False)
class Geodesic:
    """An initial momentum, how to follow it, and where it ends: a deformation's parametrisation.

    momentum, end : (B, 3, X, Y, Z) along the array axes of `grid`, at times 0 and 1
    forward : phi_1 - id, (B, 3, X, Y, Z) in voxels of `grid`: the inverse of the deformation
    energies : level in mm, iteration and the energy's terms, in the order of the descent
    """

    momentum: Tensor
    end: Tensor
    forward: Tensor
    kernel: Kernel
    shooting: Shooting
    grid: Grid
    energies: tuple[dict[str, float], ...] = ()

    def inverse(self, displacement: Tensor) -> tuple[Tensor, Geodesic]:
        """The same path, walked back."""
        back = replace(self, momentum=-self.end, end=-self.momentum, forward=displacement)
        return self.forward, back

    def at(self, time: float = 1.0, scale: float = 1.0) -> Deformation:
        """The map at `time` of the geodesic whose momentum is multiplied by `scale`."""
        return shot(self.momentum, self.kernel, self.shooting, self.grid, time * scale)


def shot(
    momentum: Tensor, kernel: Kernel, shooting: Shooting, grid: Grid, factor: float
) -> Deformation:
    """The deformation where `factor` times a momentum leads, in steps as long as before.

    Negative factors go back in time, beyond the start.
    """
    steps = max(1, ceil(shooting.steps * abs(factor)))
    return follow(momentum * factor, kernel, replace(shooting, steps=steps), grid)


def follow(
    momentum: Tensor,
    kernel: Kernel,
    shooting: Shooting,
    grid: Grid,
    energies: Sequence[dict[str, float]] = (),
) -> Deformation:
    """The deformation at the end of the geodesic that begins with `momentum`."""
    path = followed(momentum, kernel, shooting, grid)
    if path.forward is None:
        raise ValueError("both maps were asked for")
    parts = (momentum, path.momentum, path.forward)
    geodesic = Geodesic(*parts, kernel, shooting, grid, tuple(energies))
    return Deformation(path.inverse, grid, geodesic)


def white_on(momentum: Tensor, kernel: Kernel, grid: Grid, to: Grid) -> Tensor:
    """The white variable K^1/2 m of a momentum (B, 3, X, Y, Z), on another grid of the same place.

    It is what can be interpolated: momenta themselves are too sharp.
    """
    here = KernelOnGrid(kernel, grid.shape, grid.spacing, momentum.device, momentum.dtype)
    return resize_image(here.root(momentum), to.shape)


def momentum_of(white: Tensor, kernel: Kernel, grid: Grid) -> Tensor:
    """The momentum K^-1/2 w of a white variable (B, 3, X, Y, Z) on its grid."""
    on_grid = KernelOnGrid(kernel, grid.shape, grid.spacing, white.device, white.dtype)
    return on_grid.unroot(white)


def levels_of(levels: Sequence[tuple[float, int]], grid: Grid) -> list[tuple[float, int]]:
    """Voxel sizes and iterations that are no finer than the grid, each size once; at least one."""
    finest = min(grid.spacing)
    sizes = {max(mm, finest): iterations for mm, iterations in levels}
    return sorted(sizes.items(), reverse=True)


def followed(momentum: Tensor, kernel: Kernel, shooting: Shooting, grid: Grid) -> Path:
    """The end of that geodesic with both maps, and the energies on the way."""
    on_grid = KernelOnGrid(kernel, grid.shape, grid.spacing, momentum.device, momentum.dtype)
    return shoot(momentum, on_grid, shooting, both=True)
