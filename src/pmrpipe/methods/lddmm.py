"""LDDMM by the initial momentum: the geodesic that brings one image to another.

Minimises E(m_0) = 1/2 <m_0, K m_0> + matching(I_0 o psi_1, I_1), coarse to fine, over a white
variable w with v_0 = K^1/2 w, in which the regulariser is 1/2 |w|^2 and descent is well
conditioned. Gradients are exact: those of the discrete energy.

Source: Singh et al., ISBI 2013 (vector momenta); Yang et al., NeuroImage 158 (2017), whose kernel,
sigma and images in [0, 1] are the defaults; Vialard et al., IJCV 97 (2012) for shooting.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil, prod

from torch import Tensor

from pmrpipe.base.malloc import keep_freed_memory
from pmrpipe.images.volume import Grid
from pmrpipe.losses.matching import LocalCorrelation, SquaredDifference
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.descent import Descent
from pmrpipe.methods.geodesic import follow, levels_of
from pmrpipe.methods.stops import value
from pmrpipe.spatial.geodesic import Shooting, shoot, steady
from pmrpipe.spatial.kernels import Fluid, Kernel, KernelOnGrid
from pmrpipe.spatial.resize import resize_displacement, resize_image
from pmrpipe.spatial.warp import warp

Matching = SquaredDifference | LocalCorrelation
Tell = Callable[[float, int, dict[str, float]], None]
# A step changes the initial velocity by so many voxels at most.
_LONGEST_VOXELS = 0.5
# Faster by this factor a velocity may become before its level ends.
_MARGIN = 1.25
# On finer grids the steps of a geodesic are run again in the backward pass, to save memory.
_KEPT_MM = 2.0


class LDDMM:
    """Registers by the geodesic from the moving image to the fixed one.

    Parameters
    ----------
    kernel : `Fluid` or `Gaussians`
    matching : `SquaredDifference` or `LocalCorrelation`
    levels_mm : voxel sizes of the images, coarse to fine; none finer than they are
    velocity_mm : finest voxel size of momenta and velocities, which are smooth: the images may be
        compared on a finer grid
    iterations : most of each level; fewer where the energy no longer falls
    shooting : how geodesics are integrated
    tolerance : relative change of the energy below which an iteration gains nothing
    tell : called with level (mm), iteration and the energy's terms
    seed : for the interface: nothing is drawn
    """

    def __init__(
        self,
        seed: int = 2019,
        kernel: Kernel | None = None,
        matching: Matching | None = None,
        levels_mm: Sequence[float] = (8.0, 4.0, 2.0),
        velocity_mm: float = 4.0,
        iterations: Sequence[int] = (30, 30, 20),
        shooting: Shooting | None = None,
        tolerance: float = 1e-4,
        tell: Tell = lambda level, iteration, terms: None,
    ) -> None:
        if len(levels_mm) != len(iterations):
            raise ValueError("as many levels as numbers of iterations")
        self.kernel, self.matching = kernel or Fluid(), matching or SquaredDifference()
        self.levels = tuple(zip(levels_mm, iterations, strict=True))
        self.velocity_mm = velocity_mm
        self.shooting, self.tolerance, self.tell = shooting or Shooting(), tolerance, tell

    def register(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """Register (1, 1, X, Y, Z) images in [0, 1].

        The result lies on the grid of the velocities; its parametrisation is a `Geodesic`.
        """
        return self.register_from(moving.new_zeros(1, 3, 2, 2, 2), moving, fixed, grid)

    def register_from(
        self, white: Tensor, moving: Tensor, fixed: Tensor, grid: Grid
    ) -> Deformation:
        """The same from a white variable K^1/2 m_0 on, which may lie on any grid."""
        keep_freed_memory()
        energies: list[dict[str, float]] = []
        for mm, iterations in levels_of(self.levels, grid):
            fine, level = _on(grid, mm), _on(grid, max(mm, self.velocity_mm))
            kernel = KernelOnGrid(self.kernel, level.shape, level.spacing, moving.device)
            images = [resize_image(image, fine.shape) for image in (moving, fixed)]
            white = _interpolated(white, level.shape)
            rows: list[dict[str, float]] = []
            for most in _rounds(iterations):
                shooting = self._stable(white, kernel)
                energy = self._energy(images, fine, kernel, shooting)
                white, terms = self._descend(white, energy, kernel, most, mm, len(rows))
                rows += terms[bool(rows) :]  # a round begins where the last one ended
            energies += [{"level_mm": mm, "iteration": n, **row} for n, row in enumerate(rows)]
        momentum = kernel.unroot(white)
        shooting = steady(momentum, kernel, self.shooting)
        return follow(momentum, self.kernel, shooting, level, energies)

    def _stable(self, white: Tensor, kernel: KernelOnGrid) -> Shooting:
        """Steps so short that the energy is kept along the geodesic, and none leaps a voxel."""
        fastest = value(kernel.root(white).norm(dim=1).max()) / min(kernel.spacing)
        steps = max(self.shooting.steps, ceil(_MARGIN * fastest))
        return steady(kernel.unroot(white), kernel, replace(self.shooting, steps=steps))

    def _energy(
        self, images: list[Tensor], grid: Grid, kernel: KernelOnGrid, shooting: Shooting
    ) -> Callable[[Tensor], dict[str, Tensor]]:
        """The energy of a white variable on the kernel's grid, images being on `grid`."""
        moving, fixed = images
        volume = prod(kernel.spacing)
        recompute = min(kernel.spacing) < _KEPT_MM

        def energy(white: Tensor) -> dict[str, Tensor]:
            path = shoot(kernel.unroot(white), kernel, shooting, recompute=recompute)
            warped = warp(moving, resize_displacement(path.inverse, grid.shape))
            regularity = 0.5 * white.square().sum() * volume
            matching = self.matching(fixed, warped, grid.spacing)
            return {"total": regularity + matching, "regularity": regularity, "matching": matching}

        return energy

    def _descend(
        self,
        white: Tensor,
        energy: Callable[[Tensor], dict[str, Tensor]],
        kernel: KernelOnGrid,
        iterations: int,
        mm: float,
        before: int,
    ) -> tuple[Tensor, list[dict[str, float]]]:
        def longest(direction: Tensor) -> float:
            most = value(kernel.root(direction).norm(dim=1).max())
            return _LONGEST_VOXELS * min(kernel.spacing) / most

        descent = Descent(energy, white, longest, tolerance=self.tolerance)
        for number in descent.run(iterations):
            self.tell(mm, max(0, before - 1) + number, descent.terms[-1])
        return descent.point, descent.terms


def _rounds(iterations: int) -> list[int]:
    """A level in two: after its first third, steps are chosen anew for the paths of then."""
    first = ceil(iterations / 3)
    return [most for most in (first, iterations - first) if most]


def _on(grid: Grid, mm: float) -> Grid:
    return grid.rescaled(mm) if mm > min(grid.spacing) else grid


def _interpolated(field: Tensor, shape: Sequence[int]) -> Tensor:
    """On another grid of the same field of view; lengths are mm already."""
    if tuple(field.shape[2:]) == tuple(shape):
        return field
    return resize_image(field, shape)
