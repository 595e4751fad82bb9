"""Image and feature likelihoods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from pmrpipe.spatial.precision import exact


class Similarity(Protocol):
    """How unlike a fixed image or feature map and the warped one are: lower is better, a scalar."""

    def __call__(self, fixed: Tensor, warped: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class SquaredDifference:
    """`mean_squared_difference` as a part of a method."""

    def __call__(self, fixed: Tensor, warped: Tensor) -> Tensor:
        return mean_squared_difference(fixed, warped)


@dataclass(frozen=True)
class LocalCorrelation:
    """1 - `local_correlation` over cubes of `window`^3 voxels (odd), as a part of a method."""

    window: int = 9

    def __call__(self, fixed: Tensor, warped: Tensor) -> Tensor:
        return 1 - local_correlation(fixed, warped, self.window)


@dataclass(frozen=True)
class GaussianCorrelation:
    """1 - the mean of `gaussian_correlation`, of deviation `sigma` voxels, as a part of a method.

    With zeros outside the brain the loss cannot fall below the background's share of the voxels.
    """

    sigma: float = 5.0

    def __call__(self, fixed: Tensor, warped: Tensor) -> Tensor:
        return 1 - gaussian_correlation(fixed, warped, self.sigma).mean()


def mean_squared_difference(fixed: Tensor, warped: Tensor) -> Tensor:
    """Mean of (y - x∘phi)^2 over voxels, channels and the batch."""
    return F.mse_loss(warped, fixed)


def gaussian_correlation(
    fixed: Tensor, warped: Tensor, sigma: float, floor: float = 1e-5
) -> Tensor:
    """Local normalised cross-correlation of every voxel of (B, C, X, Y, Z), signed, in [-1, 1].

    cov / sqrt((var_fixed + floor) (var_warped + floor)) with means by a Gaussian of deviation
    `sigma` voxels, cut off at twice that, zeros outside (GradICON, Tian et al., CVPR 2023). In
    float32 under autocast too.
    """
    with exact(fixed.device):
        f, w = fixed.float(), warped.float()
        stacked = torch.cat([f, w, f * f, w * w, f * w], 1)
        for axis in (2, 3, 4):
            weights = _gaussian_rows(stacked.shape[axis], sigma).to(stacked)
            stacked = torch.tensordot(stacked, weights, ([axis], [1])).movedim(-1, axis)
        f, w, ff, ww, fw = stacked.chunk(5, dim=1)
        variances = ((ff - f * f).clamp(min=0) + floor) * ((ww - w * w).clamp(min=0) + floor)
        return (fw - f * w) / variances.sqrt()


@lru_cache(maxsize=32)
def _gaussian_rows(size: int, sigma: float) -> Tensor:
    """(size, size), float64: row n has the weights of a Gaussian about voxel n."""
    radius = int(2 * sigma + 0.5)
    taps = torch.arange(-radius, radius + 1, dtype=torch.float64, device="cpu")
    total = (-(taps**2) / (2 * sigma**2)).exp().sum()
    places = torch.arange(size, dtype=torch.float64, device="cpu")
    apart = places[:, None] - places
    return (-(apart**2) / (2 * sigma**2)).exp() / total * (apart.abs() <= radius)


def box_sum(image: Tensor, window: int) -> Tensor:
    """Sum over the cube of `window`^3 voxels (odd) around each voxel, zeros outside."""
    for axis in (2, 3, 4):
        image = _line_sum(image, window, axis)
    return image


def _line_sum(image: Tensor, window: int, axis: int) -> Tensor:
    """Sums of `window` neighbours along one axis, by doubling: log2(window) additions."""
    half, size = window // 2, image.shape[axis]
    pad = [0, 0] * 3
    pad[2 * (4 - axis)], pad[2 * (4 - axis) + 1] = half, half
    power, width = F.pad(image, pad), 1
    total, covered = None, 0
    while width <= window:
        if window & width:
            part = power.narrow(axis, covered, size)
            total = part if total is None else total + part
            covered += width
        length = power.shape[axis] - width
        if 2 * width <= window:
            power = power.narrow(axis, 0, length) + power.narrow(axis, width, length)
        width *= 2
    return total  # type: ignore[return-value]


def local_correlation(
    fixed: Tensor, warped: Tensor, window: int = 9, floor: float = 1e-5
) -> Tensor:
    """Mean squared local normalised cross-correlation of (B, C, X, Y, Z), in [0, 1].

    cc = cross^2 / (var_fixed var_warped) over cubes of `window` voxels; windows that leave the
    image are padded with zeros (Balakrishnan et al., TMI 2019, Eq. 6). `floor` keeps empty
    windows at 0.
    """
    return _LocalCorrelation.apply(fixed, warped, window, floor)


def local_correlation_map(
    fixed: Tensor, warped: Tensor, window: int = 9, floor: float = 1e-5
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Every voxel's part in `local_correlation`, and the slopes of their sum by both images.

    All (B, C, X, Y, Z); autograd sees none of them.
    """
    moments = _moments(fixed, warped, window)
    slopes = _slopes((fixed, warped), moments, window, floor, fixed.new_ones(()), (0, 1))
    return _squared(moments, floor), tuple(slopes)


def counted_correlation_map(
    fixed: Tensor, warped: Tensor, counted: Tensor, window: int = 9, floor: float = 1e-5
) -> Tensor:
    """Every voxel's part in the local correlation of the voxels that count, (B, C, X, Y, Z).

    The others are in no window; the mean is the sum over that of `counted`.

    Parameters
    ----------
    counted : (B, 1, X, Y, Z) in [0, 1], how much each voxel counts
    """
    stacked = torch.cat([fixed, warped, fixed * fixed, warped * warped, fixed * warped], 1)
    number = box_sum(counted, window).clamp(min=1e-3)
    f, w, ff, ww, fw = box_sum(stacked * counted, window).chunk(5, dim=1)
    cross = fw - f * w / number
    variances = (ff - f * f / number).clamp(min=0) * (ww - w * w / number).clamp(min=0)
    return cross.square() / (variances + floor) * counted


# Local sums of fixed and of warped, the cross term, and both variances.
_Moments = tuple[Tensor, ...]


def _moments(fixed: Tensor, warped: Tensor, window: int) -> _Moments:
    stacked = torch.cat([fixed, warped, fixed * fixed, warped * warped, fixed * warped], 1)
    f, w, ff, ww, fw = box_sum(stacked, window).chunk(5, dim=1)
    share = -1.0 / window**3
    cross = torch.addcmul(fw, f, w, value=share)
    var_fixed = torch.addcmul(ff, f, f, value=share).clamp_(min=0)
    var_warped = torch.addcmul(ww, w, w, value=share).clamp_(min=0)
    return f, w, cross, var_fixed, var_warped


def _squared(moments: _Moments, floor: float) -> Tensor:
    _, _, cross, var_fixed, var_warped = moments
    return cross * cross / (var_fixed * var_warped + floor)


def _slopes(
    images: tuple[Tensor, Tensor],
    moments: _Moments,
    window: int,
    floor: float,
    scale: Tensor,
    wanted: Sequence[int],
) -> list[Tensor]:
    """Of the sum times `scale`, by those of the images (fixed 0, warped 1) that are wanted.

    In closed form: three box sums for one image, five for both.
    """
    f, w, cross, var_fixed, var_warped = moments
    fixed, warped = images
    by_cross = cross / (var_fixed * var_warped + floor)
    by_product = by_cross.square().mul_(-scale)
    by_cross.mul_(2 * scale)
    sides = {
        0: (fixed, warped, f, w, var_fixed, var_warped),
        1: (warped, fixed, w, f, var_warped, var_fixed),
    }
    parts = [by_cross]
    for n in wanted:
        _, _, own, other, own_variance, other_variance = sides[n]
        # A variance that rounding made negative was clamped: it has no slope.
        by_variance = by_product * other_variance * (own_variance > 0)
        by_sum = torch.addcmul(other * by_cross, own, by_variance, value=2).mul_(-1.0 / window**3)
        parts += [by_variance, by_sum]
    sums = box_sum(torch.cat(parts, 1), window).chunk(len(parts), dim=1)
    slopes = []
    for place, n in enumerate(wanted):
        image, partner = sides[n][:2]
        by_variance, by_sum = sums[1 + 2 * place], sums[2 + 2 * place]
        slope_of_image = torch.addcmul(by_sum, sums[0], partner)
        slopes.append(slope_of_image.addcmul_(by_variance, image, value=2))
    return slopes


class _LocalCorrelation(torch.autograd.Function):
    """The mean, with the gradient in closed form."""

    @staticmethod
    def forward(ctx: Any, fixed: Tensor, warped: Tensor, window: int, floor: float) -> Tensor:
        moments = _moments(fixed, warped, window)
        ctx.window, ctx.floor = window, floor
        ctx.save_for_backward(fixed, warped, *moments)
        return _squared(moments, floor).mean()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        fixed, warped, *moments = ctx.saved_tensors
        wanted = [n for n in (0, 1) if ctx.needs_input_grad[n]]
        scale = slope / fixed.numel()
        slopes = _slopes((fixed, warped), tuple(moments), ctx.window, ctx.floor, scale, wanted)
        by_image = dict(zip(wanted, slopes, strict=True))
        return by_image.get(0), by_image.get(1), None, None
