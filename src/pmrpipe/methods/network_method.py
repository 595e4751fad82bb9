"""What networks that register share: grid, precision, and how a latent becomes a warp."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pmrpipe.base.errors import InputError
from pmrpipe.images.volume import Grid
from pmrpipe.methods.batch import Batch
from pmrpipe.methods.deformation import Deformation, StationaryVelocity
from pmrpipe.methods.posterior import Posterior
from pmrpipe.spatial.integrate import Integrator
from pmrpipe.spatial.resize import crop, resize_displacement, resize_image
from pmrpipe.spatial.standardise import quantile_scaled

if TYPE_CHECKING:
    from pmrpipe.methods.spec import Stage


class NetworkMethod(nn.Module):
    """A network, works at its own voxel size, and what it is trained for.

    Subclasses define `objective` and `deform`; both see images on the network's grid.
    """

    network: Any
    # Whether it can learn other contrasts: its objective compares `Batch.compared`, or no images.
    learns_contrasts = False

    def __init__(self, network_mm: float | None = None) -> None:
        super().__init__()
        self.network_mm = network_mm
        self.precision: torch.dtype | None = None
        self.quantiles: tuple[float, float] | None = None
        # Whether it was trained on pairs of two contrasts, and takes such pairs as they are.
        self.crosses = False

    def grid(self, grid: Grid) -> Grid:
        """The network's grid for images on `grid`."""
        return grid if self.network_mm is None else grid.rescaled(self.network_mm)

    def intensities(self, image: Tensor) -> Tensor:
        """An image (B, 1, X, Y, Z) of the chain with the intensities that the method is shown."""
        return quantile_scaled(image, *self.quantiles) if self.quantiles else image

    def seen(self, image: Tensor, grid: Grid) -> Tensor:
        """An image of the chain as the method sees it on `grid`, the network's."""
        return self.intensities(resize_image(image, grid.shape))

    def predict(self, moving: Tensor, fixed: Tensor) -> Any:
        """What the network says, float32."""
        return self.in_precision(self.network, moving, fixed)

    def in_precision(self, part: Callable[..., Any], *inputs: Tensor) -> Any:
        """What a part of the network says, float32; it runs in `precision`, if one is set."""
        if self.precision is None:
            return part(*inputs)
        inputs = tuple(x.contiguous(memory_format=torch.channels_last_3d) for x in inputs)
        with torch.autocast(inputs[0].device.type, self.precision):
            return _float32(part(*inputs))

    def objective(self, batch: Batch) -> dict[str, Tensor]:
        """Named terms; "total" is minimised, the others are logged."""
        raise NotImplementedError

    def enter(self, stage: Stage) -> None:
        """Change to a stage of the schedule; InputError where there is no such stage."""
        problem = "knows no stages of training"
        raise InputError(type(self).__name__, problem, "leave `schedule.stages` out")

    def deform(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """The deformation on `grid`, that of the images; gradients flow through it."""
        raise NotImplementedError

    @torch.no_grad()
    def register(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """Register on the network's grid, with the mean of the posterior."""
        inner = self.grid(grid)
        return self.deform(self.seen(moving, inner), self.seen(fixed, inner), inner)

    def for_pair(self, moving: Tensor, fixed: Tensor) -> NetworkMethod:
        """A copy whose weights may be tuned to a pair on the network's grid; this one stays."""
        return copy.deepcopy(self)


class SampledMethod(NetworkMethod):
    """A network that gives a distribution; its YAML says `posterior: true`."""

    def sampler(self, moving: Tensor, fixed: Tensor) -> Callable[[torch.Generator], Tensor]:
        """Draws from the posterior: each call one displacement, in voxels of the images' grid."""
        raise NotImplementedError

    @torch.no_grad()
    def posterior(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Posterior:
        """The posterior of a pair on the network's grid; the network runs once."""
        inner = self.grid(grid)
        images = (self.seen(image, inner) for image in (moving, fixed))
        return Posterior(torch.no_grad()(self.sampler(*images)), inner)


def sample(mean: Tensor, log_variance: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """One draw by reparameterisation: z = mu + exp(log_variance / 2) eps.

    With a generator, which is on the CPU, eps is the same on every device.
    """
    if generator is None:
        noise = torch.randn_like(mean)
    else:
        noise = torch.randn(mean.shape, generator=generator).to(mean)
    return mean + (log_variance / 2).exp() * noise


def each_alone(latents: Sequence[Tensor]) -> list[list[Tensor]]:
    """For every latent a list in which all others are zero."""
    return [
        [z if i == n else torch.zeros_like(z) for i, z in enumerate(latents)]
        for n in range(len(latents))
    ]


def on_image_grid(field: Tensor, image: Tensor) -> Tensor:
    """A field on the half-resolution grid of the padded image, on the image's own grid."""
    padded = [2 * n for n in field.shape[2:]]
    return crop(resize_displacement(field, padded), image.shape[2:])


def velocity_deformation(
    velocity: Tensor, integrator: Integrator, image: Tensor, grid: Grid
) -> Deformation:
    """The flow of a velocity at half resolution of the padded image, on the image's own grid.

    velocity : (B, 3, x, y, z) in voxels of its own grid
    image, grid : an image that the network saw, and its grid
    """
    displacement = on_image_grid(integrator(velocity), image)
    return Deformation(displacement, grid, StationaryVelocity(on_image_grid(velocity, image)))


def _float32(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.float()
    if isinstance(value, (list, tuple)):
        return type(value)(_float32(item) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return type(value)(*(_float32(getattr(value, f.name)) for f in fields(value)))
    return value
