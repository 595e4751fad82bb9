"""UtilzReg's GeoShoot: shooting a scalar momentum, with an adjoint of its own.

Minimises alpha/2 <P_0 grad I_0, K (P_0 grad I_0)> + 1/2 |I_0 o psi_1 - I_1|^2, sums over voxels, by
descent in the metric of K along the gradient that the adjoint equations give. v = -K (P grad I)
with I = I_0 o psi and P = |D psi| P_0 o psi, both from the map at every time.

Source: Vialard, Risser, Rueckert, Cotter, IJCV 97 (2012) 229-241. alpha, the number of times, of
iterations, the step rule and the kernel of one Gaussian of 3 mm are the program's defaults; which
settings stand behind published rows of other papers is not known. Ours: psi is advected semi-
Lagrangian (the program's limiter of an upwind scheme has a fault), the best momentum is the answer
(the program saves the last), and levels follow each other without being asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from pmrpipe.base.malloc import keep_freed_memory
from pmrpipe.base.seed import SEED
from pmrpipe.images.volume import Grid
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.geodesic import follow, levels_of
from pmrpipe.methods.stops import value
from pmrpipe.spatial.geodesic import Shooting
from pmrpipe.spatial.integrate import compose
from pmrpipe.spatial.jacobian import gradient, jacobian_determinant
from pmrpipe.spatial.kernels import Gaussians, KernelOnGrid
from pmrpipe.spatial.resize import resize_image
from pmrpipe.spatial.warp import warp

# By this a step is shortened after so many rises in a row.
_SHORTER, _RISES = 0.8, 2

Tell = Callable[[float, int, dict[str, float]], None]


@dataclass(frozen=True, eq=False)
class ScalarShooting:
    """The energy of a scalar momentum, and its gradient.

    Lengths are voxels, as the program's: `kernel` is on a grid of spacing 1.

    Parameters
    ----------
    moving, fixed : (1, 1, X, Y, Z)
    alpha : weight of the path's energy
    times : points in time, 0 and 1 among them
    """

    moving: Tensor
    fixed: Tensor
    kernel: KernelOnGrid
    alpha: float = 0.001
    times: int = 10

    @property
    def _dt(self) -> float:
        return 1.0 / (self.times - 1)

    def vector(self, momentum: Tensor) -> Tensor:
        """m_0 = -P_0 grad I_0, (1, 3, X, Y, Z)."""
        return -momentum * gradient(self.moving)[:, 0]

    def carried(self, momentum: Tensor, psi: Tensor) -> tuple[Tensor, Tensor]:
        """I = I_0 o psi, and the density P = |D psi| P_0 o psi."""
        density = jacobian_determinant(psi)[:, None] * warp(momentum, psi)
        return warp(self.moving, psi, padding="border"), density

    def velocity(self, momentum: Tensor, psi: Tensor) -> Tensor:
        """v = -K (P grad I), voxels a unit of time."""
        image, density = self.carried(momentum, psi)
        return -self.kernel.smooth(density * gradient(image)[:, 0])

    def path(self, momentum: Tensor) -> list[tuple[Tensor, Tensor]]:
        """psi - id and phi - id at all times, voxels."""
        psi = phi = torch.zeros_like(self.vector(momentum))
        maps = [(psi, phi)]
        for _ in range(self.times - 1):
            move = self._dt * self.velocity(momentum, psi)
            psi = compose(psi, -warp(move, -move / 2, padding="border"))
            phi = compose(move, phi)
            maps.append((psi, phi))
        return maps

    def terms(self, momentum: Tensor, psi: Tensor) -> dict[str, Tensor]:
        """Named terms of the energy; `psi` is the map at time 1."""
        vector = self.vector(momentum)
        regularity = self.alpha / 2 * (vector * self.kernel.smooth(vector)).sum()
        left = warp(self.moving, psi, padding="border") - self.fixed
        matching = left.square().sum() / 2
        return {"total": regularity + matching, "regularity": regularity, "matching": matching}

    def gradient(self, momentum: Tensor, maps: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """By P_0, from the adjoint equations run backwards along `maps`.

        With I^, P^ the adjoints of I and P: v^ = K (P grad P^ - I^ grad I), d I^/dt + div(v I^)
        + div(P v^) = 0, d P^/dt + v.grad P^ = grad I.v^, from I^ = I_1 - I_0 o psi_1, P^ = 0 at
        time 1; both are kept as they are seen from time 0.
        """
        psi, phi = maps[-1]
        left = self.fixed - warp(self.moving, psi, padding="border")
        image_then = jacobian_determinant(phi)[:, None] * warp(left, phi)
        density_then = torch.zeros_like(image_then)
        for psi, phi in reversed(maps[:-1]):
            image, density = self.carried(momentum, psi)
            image_hat = jacobian_determinant(psi)[:, None] * warp(image_then, psi)
            density_hat = warp(density_then, psi)
            slope = gradient(image)[:, 0]
            force = density * gradient(density_hat)[:, 0] - image_hat * slope
            velocity = self.kernel.smooth(force)
            spread = _divergence(density * velocity)
            image_then = image_then + self._dt * (
                jacobian_determinant(phi)[:, None] * warp(spread, phi)
            )
            along = (slope * velocity).sum(1, keepdim=True)
            density_then = density_then - self._dt * warp(along, phi)
        slope = gradient(self.moving)[:, 0]
        path = (slope * self.kernel.smooth(momentum * slope)).sum(1, keepdim=True)
        return self.alpha * path - density_then

    def longest(self, direction: Tensor) -> Tensor:
        """By how many voxels a change of the momentum changes the initial velocity at most."""
        return self.kernel.smooth(self.vector(direction)).norm(dim=1).max()


class UtilzReg:
    """Registers by the geodesic of a scalar momentum.

    Parameters
    ----------
    kernel : Gaussians; deviations in mm
    apparent : weight each Gaussian so that all would move the images equally fast at the start
        (Risser et al., TMI 30, 2011), in place of the kernel's own weights
    alpha, times : as `ScalarShooting`; images are in [0, 1], on which the weight depends
    levels_mm, iterations : voxel sizes, coarse to fine, and iterations of each
    longest : voxels by which an iteration changes the initial velocity at most
    tell : called with level (mm), iteration and the energy's terms
    seed : for the interface: nothing is drawn
    """

    def __init__(
        self,
        seed: int = SEED,
        kernel: Gaussians | None = None,
        apparent: bool = False,
        alpha: float = 0.001,
        times: int = 10,
        levels_mm: Sequence[float] = (2.0,),
        iterations: Sequence[int] = (10,),
        longest: float = 0.25,
        tell: Tell = lambda level, iteration, terms: None,
    ) -> None:
        if len(levels_mm) != len(iterations):
            raise ValueError("as many levels as numbers of iterations")
        self.kernel, self.apparent = kernel or Gaussians((3.0,)), apparent
        self.alpha, self.times, self.longest, self.tell = alpha, times, longest, tell
        self.levels = tuple(zip(levels_mm, iterations, strict=True))

    @torch.no_grad()
    def register(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """Register (1, 1, X, Y, Z) images in [0, 1]; the result lies on the finest level's grid.

        Its parametrisation is a `Geodesic` with the vector momentum -P_0 grad I_0.
        """
        keep_freed_memory()
        momentum = moving.new_zeros(1, 1, 2, 2, 2)
        energies: list[dict[str, float]] = []
        for mm, iterations in levels_of(self.levels, grid):
            level = grid.rescaled(mm) if mm > min(grid.spacing) else grid
            source, target = (resize_image(image, level.shape) for image in (moving, fixed))
            kernel = self.kernel_for(source, target, level)
            problem = self._problem(source, target, kernel, level)
            # In voxels P is as the squared voxel size: m = P grad I, and v = K m is a length.
            momentum = _enlarged(momentum, level.shape)
            momentum, rows = self._descend(problem, momentum, iterations, mm)
            energies += rows
        vector = problem.vector(momentum) * min(level.spacing)  # voxels to mm
        shooting = Shooting(self.times - 1, "rk2", "map")
        return follow(vector, kernel, shooting, level, energies)

    def kernel_for(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Gaussians:
        """The kernel in mm, with its apparent weights where these are asked for."""
        if not self.apparent:
            return self.kernel
        force = (moving - fixed) * gradient(fixed)[:, 0]
        speeds = []
        for deviation in self.kernel.deviations:
            alone = KernelOnGrid(Gaussians((deviation,)), grid.shape, grid.spacing, force.device)
            speeds.append(value(alone.smooth(force).norm(dim=1).max()))
        if not min(speeds) > 0:
            return self.kernel
        return replace(self.kernel, weights=tuple(1 / speed for speed in speeds))

    def _problem(
        self, moving: Tensor, fixed: Tensor, kernel: Gaussians, grid: Grid
    ) -> ScalarShooting:
        mm = min(grid.spacing)
        in_voxels = replace(kernel, deviations=tuple(d / mm for d in kernel.deviations))
        on_grid = KernelOnGrid(in_voxels, grid.shape, (1.0, 1.0, 1.0), moving.device)
        return ScalarShooting(moving, fixed, on_grid, self.alpha, self.times)

    def _descend(
        self, problem: ScalarShooting, momentum: Tensor, iterations: int, mm: float
    ) -> tuple[Tensor, list[dict[str, float]]]:
        """The best momentum, and the terms at every iteration, the start's first."""
        best, lowest = momentum, float("inf")
        length, rises, before = self.longest, 0, float("inf")
        rows = []
        for number in range(iterations + 1):
            maps = problem.path(momentum)
            terms = {k: value(v) for k, v in problem.terms(momentum, maps[-1][0]).items()}
            rows.append({"level_mm": mm, "iteration": number, **terms})
            self.tell(mm, number, terms)
            total = terms["total"]
            if total < lowest:
                best, lowest = momentum, total
            rises = rises + 1 if total > before else 0
            if rises == _RISES:
                length, rises = length * _SHORTER, 0
            before = total
            if number == iterations:
                break
            slope = problem.gradient(momentum, maps)
            fastest = value(problem.longest(slope))
            if not fastest > 0:
                break
            momentum = momentum - slope * (length / fastest)
        return best, rows


def _divergence(field: Tensor) -> Tensor:
    """(B, 1, X, Y, Z), per voxel."""
    slopes: dict[int, Tensor] = {}
    for axis in range(3):
        (slopes[axis],) = torch.gradient(field[:, axis], dim=axis + 1)
    return (slopes[0] + slopes[1] + slopes[2])[:, None]


def _enlarged(momentum: Tensor, shape: Sequence[int]) -> Tensor:
    """A momentum on a finer grid, whose velocity is the same length in mm.

    With f times the voxels a slope is a f-th, and a length f times as many voxels.
    """
    if momentum.shape[2:] == torch.Size(shape):
        return momentum
    factor = shape[0] / momentum.shape[2]
    size: Literal["trilinear"] = "trilinear"
    wide = torch.nn.functional.interpolate(momentum, tuple(shape), mode=size, align_corners=False)
    return wide * factor**2
