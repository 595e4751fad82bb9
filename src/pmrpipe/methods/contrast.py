"""One contrast made of the other by the pair itself, for methods that know one contrast.

Where tissue has one intensity in each image, one image is a function of the other: that function is
the mean of one in classes of the other (as the correlation ratio has it, Roche et al., MICCAI 1998;
for intensity correction Guimond et al., TMI 20, 2001). The image of which the other is more nearly
a function is replaced by its value.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_CLASSES = 32


@dataclass(frozen=True)
class Curve:
    """A function of intensity: linear between `knots` (K,), `values` (K,) there; 0 stays 0."""

    knots: Tensor
    values: Tensor

    def __call__(self, image: Tensor) -> Tensor:
        """The function of an image, background 0 kept."""
        place = torch.searchsorted(self.knots, image.contiguous()).clamp(1, len(self.knots) - 1)
        low, high = self.knots[place - 1], self.knots[place]
        share = ((image - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)
        mapped = torch.lerp(self.values[place - 1], self.values[place], share)
        return torch.where(image > 0, mapped, torch.zeros_like(image))


@dataclass(frozen=True)
class Likened:
    """What makes the images of a pair alike: a curve for one of them, None for the other."""

    moving: Curve | None = None
    fixed: Curve | None = None

    def __call__(self, moving: Tensor, fixed: Tensor) -> tuple[Tensor, Tensor]:
        """The two images in one contrast."""
        return (
            moving if self.moving is None else self.moving(moving),
            fixed if self.fixed is None else self.fixed(fixed),
        )


def likened(warped: Tensor, fixed: Tensor, counted: Tensor | None = None) -> Likened:
    """How two images (1, 1, X, Y, Z) in [0, 1], aligned as well as is known, become alike.

    Parameters
    ----------
    counted : (1, 1, X, Y, Z) bool, voxels that may be looked at; None: all that are brain in both
    """
    both = (warped > 0) & (fixed > 0)
    if counted is not None:
        both &= counted
    first, second = warped[both], fixed[both]
    if first.numel() < _CLASSES**2:
        return Likened()
    of_moving, told = _curve(first, second)
    of_fixed, told_back = _curve(second, first)
    return Likened(moving=of_moving) if told >= told_back else Likened(fixed=of_fixed)


def _curve(known: Tensor, values: Tensor) -> tuple[Curve, float]:
    """The mean of `values` in classes of `known` of equal size, and the correlation ratio."""
    order = torch.argsort(known, stable=True)
    parts = [part for part in torch.tensor_split(order, _CLASSES) if part.numel()]
    knots = torch.stack([known[part].mean() for part in parts])
    means = torch.stack([values[part].mean() for part in parts])
    sizes = torch.tensor([part.numel() for part in parts], dtype=means.dtype)
    explained = (sizes * (means - values.mean()).square()).sum()
    total = values.var(correction=0) * values.numel()
    return Curve(knots, means), float(explained / total.clamp(min=1e-12))
