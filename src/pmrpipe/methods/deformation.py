"""The interface of every method, and the deformation that it returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from pmrpipe.images.volume import Grid
from pmrpipe.spatial.integrate import compose, integrate, invert
from pmrpipe.spatial.jacobian import jacobian_determinant
from pmrpipe.spatial.resize import resize_displacement
from pmrpipe.spatial.warp import warp


@dataclass
class Deformation:
    """A map from points of the fixed image to points of the moving one.

    displacement : (B, 3, X, Y, Z), voxels of `grid`; warped(p) = moving(p + u(p))
    grid : the deformation's own grid, which may be coarser than the images'
    velocity : stationary velocity on `grid` whose exponential it is, where there is one
    backward : displacement of the inverse, where the method gives one of its own
    """

    displacement: Tensor
    grid: Grid
    velocity: Tensor | None = None
    backward: Tensor | None = None

    def resampled(self, grid: Grid) -> Deformation:
        """The same map sampled on another grid with the same field of view."""
        return Deformation(resize_displacement(self.displacement, grid.shape), grid)

    def apply(self, image: Tensor, mode: str = "bilinear") -> Tensor:
        """Warp (B, C, X, Y, Z) on any grid of the same field of view."""
        return warp(image, resize_displacement(self.displacement, image.shape[2:]), mode)

    def inverse(self) -> Deformation:
        """From moving to fixed: the method's own, the exponential of -velocity, or by iteration."""
        if self.backward is not None:
            return Deformation(self.backward, self.grid, backward=self.displacement)
        if self.velocity is not None:
            return Deformation(integrate(-self.velocity), self.grid, -self.velocity)
        return Deformation(invert(self.displacement), self.grid)

    def after(self, other: Deformation) -> Deformation:
        """This map after `other`, both on one grid."""
        return Deformation(compose(self.displacement, other.displacement), self.grid)

    def inverse_consistency(self, mask: Tensor) -> float | None:
        """Mean over `mask` (X, Y, Z) of the distance, in mm, by which a point misses itself.

        The point goes there by this map and back by the method's own inverse; None where the
        method has none (an inverse by iteration would measure the iteration).
        """
        if self.velocity is None and self.backward is None:
            return None
        missed = compose(self.inverse().displacement, self.displacement)
        spacing = missed.new_tensor(self.grid.spacing).view(1, 3, 1, 1, 1)
        return float((missed * spacing).square().sum(1).sqrt()[:, mask].mean())

    def jacobian(self) -> Tensor:
        """Jacobian determinant (B, X, Y, Z) on the deformation's grid."""
        return jacobian_determinant(self.displacement)


class Method(Protocol):
    """Anything that registers a moving to a fixed image, (B, 1, X, Y, Z) in [0, 1] on `grid`."""

    def register(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation: ...
