"""What networks that register share: grid, precision, and how a latent becomes a warp."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pmrpipe.methods.base import Deformation
from pmrpipe.spatial.resize import crop, resize_displacement, resize_image
from pmrpipe.volume import Grid


class LearnedMethod(nn.Module):
    """A network, works at its own voxel size, and what it is trained for.

    Subclasses define `network`, `objective` and `deform`; all see images on the network's grid.
    """

    network: nn.Module

    def __init__(self, network_mm: float | None = None) -> None:
        super().__init__()
        self.network_mm = network_mm
        self.precision: torch.dtype | None = None

    def grid(self, grid: Grid) -> Grid:
        """The network's grid for images on `grid`."""
        return grid if self.network_mm is None else grid.rescaled(self.network_mm)

    def predict(self, moving: Tensor, fixed: Tensor) -> Any:
        """What the network says, float32; its convolutions run in `precision`, if one is set."""
        if self.precision is None:
            return self.network(moving, fixed)
        channels_last = {"memory_format": torch.channels_last_3d}
        moving, fixed = (image.contiguous(**channels_last) for image in (moving, fixed))
        with torch.autocast(moving.device.type, self.precision):
            return _float32(self.network(moving, fixed))

    def objective(self, moving: Tensor, fixed: Tensor) -> dict[str, Tensor]:
        """Named terms; "total" is minimised, the others are logged."""
        raise NotImplementedError

    def deform(self, moving: Tensor, fixed: Tensor) -> tuple[Tensor, Tensor | None]:
        """Displacement and, where there is one, velocity, in voxels of the images' grid."""
        raise NotImplementedError

    @torch.no_grad()
    def register(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """Register on the network's grid, with the mean of the posterior."""
        inner = self.grid(grid)
        images = (resize_image(image, inner.shape) for image in (moving, fixed))
        displacement, velocity = self.deform(*images)
        return Deformation(displacement, inner, velocity)


def sample(mean: Tensor, log_variance: Tensor) -> Tensor:
    """One draw by reparameterisation: z = mu + exp(log_variance / 2) eps."""
    return mean + (log_variance / 2).exp() * torch.randn_like(mean)


def on_image_grid(field: Tensor, image: Tensor) -> Tensor:
    """A field on the half-resolution grid of the padded image, on the image's own grid."""
    padded = [2 * n for n in field.shape[2:]]
    return crop(resize_displacement(field, padded), image.shape[2:])


def _float32(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.float()
    if isinstance(value, (list, tuple)):
        return type(value)(_float32(item) for item in value)
    if is_dataclass(value):
        return type(value)(*(_float32(getattr(value, f.name)) for f in fields(value)))
    return value
