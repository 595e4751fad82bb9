"""The deformation between both scans, symmetric by construction, as a flow.

One velocity v is looked for whose flow to time -1/2 leads from the half-way space into the first
scan and to time 1/2 into the second. It makes the squared difference of the two images seen there
small, and itself smooth: the optical flow of Horn and Schunck (Artificial Intelligence 17, 1981),
linearised anew at every step. Exchanging the scans changes the sign of v, and nothing else.

Squares of intensities, and not local correlation: both scans have one contrast, and where there is
no edge correlation fits noise. What is smooth in the difference is left to the coils, not to v.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pmrpipe.images.resampling import Field
from pmrpipe.images.volume import Grid
from pmrpipe.methods.deformation import Deformation
from pmrpipe.spatial.integrate import integrate
from pmrpipe.spatial.jacobian import gradient, jacobian_determinant
from pmrpipe.spatial.resize import resize_displacement, resize_image
from pmrpipe.spatial.smooth import smoothed
from pmrpipe.spatial.warp import warp

# Weight of the velocity's squared slope against squared differences of images in [0, 1]. Less of
# it does not follow more: the slopes of noise then hold flat places where they are.
_SMOOTH = 0.005
# Sweeps of Jacobi's iteration between two linearisations; and the mean change of the velocity,
# voxels, below which a level ends.
_SWEEPS, _STILL = 20, 2e-4
# Reach of the smooth difference that is none of shape, mm, and how often it is taken out.
_COILS_MM, _PASSES = 10.0, 2
_LEVELS = (8.0, 4.0, 2.0, 1.0)


@dataclass(frozen=True, eq=False)
class Flow:
    """The deformation of first to second as a flow.

    velocity : (1, 3, X, Y, Z) in voxels of its grid
    grid : of the velocity
    full : the images' grid, of the same field of view
    """

    velocity: Tensor
    grid: Grid
    full: Grid = field(repr=False)

    def field(self, time: float) -> Field:
        """The flow to `time`: displacements in RAS mm, and their grid."""
        return Deformation(integrate(time * self.velocity), self.grid).millimetres(), self.grid

    @cached_property
    def jacobians(self) -> tuple[np.ndarray, np.ndarray]:
        """Determinants (X, Y, Z) on `full`, from the half-way space to the first and second."""
        first, second = (self._jacobian(time) for time in (-0.5, 0.5))
        return first, second

    @cached_property
    def log_jacobian(self) -> np.ndarray:
        """Logarithm of how many times larger the second is, (X, Y, Z), seen half-way."""
        first, second = self.jacobians
        return np.log(np.maximum(second, 1e-3)) - np.log(np.maximum(first, 1e-3))

    def _jacobian(self, time: float) -> np.ndarray:
        values = jacobian_determinant(integrate(time * self.velocity))
        return resize_image(values[:, None], self.full.shape)[0, 0].numpy()


@torch.no_grad()
def register_symmetric(
    first: np.ndarray, second: np.ndarray, grid: Grid, steps: int, finest_mm: float
) -> Flow:
    """Register two images (X, Y, Z) in [0, 1] of one person to each other, no side favoured.

    Parameters
    ----------
    first, second : background 0, one mask for both
    steps : most linearisations on each level
    finest_mm : finest level
    """
    images = [torch.from_numpy(image)[None, None] for image in (first, second)]
    least = max(finest_mm, *grid.spacing) * 0.99
    levels = [mm for mm in _LEVELS if mm > least] or [max(grid.spacing)]
    inner = grid.rescaled(levels[0])
    velocity = torch.zeros(1, 3, *inner.shape)
    for mm in levels:
        inner = grid.rescaled(mm)
        velocity = resize_displacement(velocity, inner.shape)
        seen = [resize_image(image, inner.shape) for image in images]
        masks = [resize_image((image > 0).float(), inner.shape) for image in images]
        for _ in range(steps):
            before = velocity
            velocity = _step(seen, masks, velocity, _COILS_MM / mm)
            if float((velocity - before).abs().mean()) < _STILL:
                break
    return Flow(velocity, inner, grid)


def _step(images: list[Tensor], masks: list[Tensor], velocity: Tensor, reach: float) -> Tensor:
    """The velocity after one linearisation; `reach` of the coils, voxels."""
    halves = [integrate(time * velocity, 4) for time in (-0.5, 0.5)]
    first, second = (warp(image, half) for image, half in zip(images, halves, strict=True))
    both = torch.minimum(*(warp(mask, half) for mask, half in zip(masks, halves, strict=True)))
    weight = (both > 0.95).float()
    error = (second - first) * weight
    share = smoothed(weight, reach).clamp(min=1e-3)
    for _ in range(_PASSES):
        error = (error - smoothed(error, reach) / share) * weight
    slope = gradient((first + second) / 2)[:, 0] * weight
    scale = _SMOOTH + slope.square().sum(1, keepdim=True)
    # What the linearised difference is at velocity x: error + slope . (x - velocity).
    constant = error - (slope * velocity).sum(1, keepdim=True)
    x = velocity
    for _ in range(_SWEEPS):
        x = _neighbours(x)
        x = x - slope * ((slope * x).sum(1, keepdim=True) + constant) / scale
    return x


def _neighbours(field: Tensor) -> Tensor:
    """The mean of the six neighbours; beyond the faces the outermost voxels are repeated."""
    wide = F.pad(field, [1] * 6, mode="replicate")
    x, y, z = field.shape[2:]
    out = torch.zeros_like(field)
    for axis, size in ((2, x), (3, y), (4, z)):
        middle = wide
        for other, length in ((2, x), (3, y), (4, z)):
            if other != axis:
                middle = middle.narrow(other, 1, length)
        out += middle.narrow(axis, 0, size) + middle.narrow(axis, 2, size)
    return out / 6
