"""The deformation that every method returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from pmrpipe.images.volume import Grid
from pmrpipe.spatial.blocks import is_large
from pmrpipe.spatial.integrate import compose, integrate, invert
from pmrpipe.spatial.jacobian import jacobian_determinant
from pmrpipe.spatial.resize import resize_displacement
from pmrpipe.spatial.warp import warp


class Parametrisation(Protocol):
    """What a deformation was made from, where that gives an inverse of its own.

    A geodesic with its initial momentum is one more: it shoots back.
    """

    def inverse(self, displacement: Tensor) -> tuple[Tensor, Parametrisation]:
        """Displacement (B, 3, X, Y, Z) of the inverse, and the inverse's parametrisation."""
        ...


@dataclass(frozen=True, eq=False)
class StationaryVelocity:
    """The deformation is the exponential of `velocity`, (B, 3, X, Y, Z) in voxels of its grid."""

    velocity: Tensor

    def inverse(self, displacement: Tensor) -> tuple[Tensor, StationaryVelocity]:
        """The exponential of -velocity."""
        return integrate(-self.velocity), StationaryVelocity(-self.velocity)


@dataclass(frozen=True, eq=False)
class ConsistentPair:
    """The method gave both directions; `backward` is the inverse's, (B, 3, X, Y, Z) in voxels."""

    backward: Tensor

    def inverse(self, displacement: Tensor) -> tuple[Tensor, ConsistentPair]:
        """The two exchanged."""
        return self.backward, ConsistentPair(displacement)


@dataclass(frozen=True, eq=False)
class Deformation:
    """A map from points of the fixed image to points of the moving one, differentiable.

    displacement : (B, 3, X, Y, Z), voxels of `grid`; warped(p) = moving(p + u(p))
    grid : the deformation's own grid, which may be coarser than the images'
    parametrisation : what it was made from; None: a displacement, without an inverse of its own
    """

    displacement: Tensor
    grid: Grid
    parametrisation: Parametrisation | None = None

    @classmethod
    def from_millimetres(
        cls, field: np.ndarray, grid: Grid, backward: np.ndarray | None = None
    ) -> Deformation:
        """From displacements (X, Y, Z, 3) in RAS mm on `grid`, the inverse's too."""
        pair = None if backward is None else ConsistentPair(_voxels(backward, grid))
        return cls(_voxels(field, grid), grid, pair)

    def millimetres(self) -> np.ndarray:
        """Displacements of the first of the batch, (X, Y, Z, 3) in RAS mm, float32."""
        voxels = self.displacement[0].detach().cpu().numpy().transpose(1, 2, 3, 0)
        matrix = self.grid.affine[:3, :3].T
        if not is_large(self.grid.shape):
            return np.ascontiguousarray(voxels @ matrix, dtype=np.float32)
        out = np.empty(voxels.shape, np.float32)
        for plane, moved in zip(voxels, out, strict=True):
            moved[:] = plane @ matrix
        return out

    def resampled(self, grid: Grid) -> Deformation:
        """The same map, with its own inverse, sampled on another grid of the same field of view."""
        field = resize_displacement(self.displacement, grid.shape)
        if self.parametrisation is None:
            return Deformation(field, grid)
        back = resize_displacement(self.inverse().displacement, grid.shape)
        return Deformation(field, grid, ConsistentPair(back))

    def to(self, device: torch.device | str) -> Deformation:
        """The map alone, float32, on another device."""
        return Deformation(self.displacement.to(device, torch.float32), self.grid)

    def apply(self, image: Tensor, mode: str = "bilinear") -> Tensor:
        """Warp (B, C, X, Y, Z) on any grid of the same field of view."""
        return warp(image, resize_displacement(self.displacement, image.shape[2:]), mode)

    def inverse(self) -> Deformation:
        """From moving to fixed: its own, from the parametrisation, or else by iteration."""
        if self.parametrisation is None:
            return Deformation(invert(self.displacement), self.grid)
        field, parametrisation = self.parametrisation.inverse(self.displacement)
        return Deformation(field, self.grid, parametrisation)

    def after(self, other: Deformation) -> Deformation:
        """This map after `other`, on the grid of `other`; grids share the field of view.

        It has an inverse of its own if both have.
        """
        outer = self.resampled(other.grid) if self.grid != other.grid else self
        field = compose(outer.displacement, other.displacement)
        if outer.parametrisation is None or other.parametrisation is None:
            return Deformation(field, other.grid)
        back = compose(other.inverse().displacement, outer.inverse().displacement)
        return Deformation(field, other.grid, ConsistentPair(back))

    def both_ways(self) -> Deformation:
        """This and its inverse as one batch, twice as long."""
        there, back = self.displacement, self.inverse().displacement
        return Deformation(
            torch.cat([there, back]), self.grid, ConsistentPair(torch.cat([back, there]))
        )

    def inverse_consistency(self, mask: Tensor) -> float | None:
        """Mean over `mask` (X, Y, Z) of the distance, in mm, by which a point misses itself.

        The point goes there by this map and back by the method's own inverse; None where the
        method has none (an inverse by iteration would measure the iteration).
        """
        if self.parametrisation is None:
            return None
        missed = compose(self.inverse().displacement, self.displacement)
        spacing = missed.new_tensor(self.grid.spacing).view(1, 3, 1, 1, 1)
        return float((missed * spacing).square().sum(1).sqrt()[:, mask].mean())

    def jacobian(self) -> Tensor:
        """Jacobian determinant (B, X, Y, Z) on the deformation's grid."""
        return jacobian_determinant(self.displacement)


def _voxels(field: np.ndarray, grid: Grid) -> Tensor:
    """(X, Y, Z, 3) in RAS mm to (1, 3, X, Y, Z) in voxels of `grid`."""
    voxels = field @ np.linalg.inv(grid.affine[:3, :3]).T.astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(voxels.transpose(3, 0, 1, 2)))[None]
