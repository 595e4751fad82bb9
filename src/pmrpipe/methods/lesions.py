"""Lesions of a pair: where the similarity is silent, and the regulariser carries the field.

Source of cost function masking: Brett et al., NeuroImage 14 (2001).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from torch import Tensor

from pmrpipe.base.errors import InputError
from pmrpipe.spatial.resize import resize_image
from pmrpipe.spatial.smooth import smoothed

if TYPE_CHECKING:
    from pmrpipe.images.volume import Grid
    from pmrpipe.methods.deformation import Deformation
    from pmrpipe.methods.protocols import Method

# Deviations, voxels, of the Gaussians that fill a lesion, narrow to wide.
_WIDTHS = (2.0, 4.0, 8.0, 16.0)
_LEAST_WEIGHT = 1e-2


@dataclass(frozen=True, eq=False)
class Lesions:
    """Shares of lesion (1, 1, X, Y, Z) in [0, 1], of the moving and of the fixed image's voxels."""

    moving: Tensor | None = None
    fixed: Tensor | None = None

    def resized(self, shape: tuple[int, int, int]) -> Lesions:
        """On a grid of another voxel size over the same field of view."""
        return Lesions(*(m if m is None else resize_image(m, shape) for m in self._masks))

    def counted(self, image: Tensor) -> Tensor:
        """How much each voxel of an aligned pair counts, as (1, 1, X, Y, Z): 0 in a lesion."""
        out = torch.ones_like(image)
        for mask in self._masks:
            if mask is not None:
                out = out * (1 - mask)
        return out.clamp(0, 1)

    def filled(self, moving: Tensor, fixed: Tensor) -> tuple[Tensor, Tensor]:
        """Both images with what surrounds each lesion in its place."""
        return _filled(moving, self.moving), _filled(fixed, self.fixed)

    @property
    def _masks(self) -> tuple[Tensor | None, Tensor | None]:
        return self.moving, self.fixed


def _filled(image: Tensor, lesion: Tensor | None) -> Tensor:
    """The mean of the healthy brain around each lesion voxel, by the narrowest Gaussian of some."""
    if lesion is None:
        return image
    healthy = (1 - lesion).clamp(0, 1) * (image > 0)
    around = torch.zeros_like(image)
    missing = torch.ones_like(image, dtype=torch.bool)
    for width in _WIDTHS:
        weight = smoothed(healthy, width)
        mean = smoothed(image * healthy, width) / weight.clamp(min=1e-6)
        usable = missing & (weight > _LEAST_WEIGHT)
        around = torch.where(usable, mean, around)
        missing = missing & ~usable
    return torch.where((lesion > 0) & (image > 0), torch.lerp(image, around, lesion), image)


@runtime_checkable
class AroundLesions(Protocol):
    """A method whose similarity can leave out the lesions of a pair."""

    def register_around(
        self, moving: Tensor, fixed: Tensor, grid: Grid, lesions: Lesions
    ) -> Deformation: ...


def register_around(
    method: Method, name: str, moving: Tensor, fixed: Tensor, grid: Grid, lesions: Lesions
) -> Deformation:
    """Register around lesions; InputError where the method cannot.

    A network alone has no similarity: it sees the lesions filled.
    """
    from pmrpipe.methods.network_method import NetworkMethod

    if lesions.moving is None and lesions.fixed is None:
        return method.register(moving, fixed, grid)
    if isinstance(method, NetworkMethod):
        return method.register(*lesions.filled(moving, fixed), grid)
    if not isinstance(method, AroundLesions):
        remedy = "take greedy, or a network with instance optimisation (refine)"
        raise InputError(name, "cannot leave a lesion out of its similarity", remedy)
    return method.register_around(moving, fixed, grid, lesions)
