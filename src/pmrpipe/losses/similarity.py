"""Image and feature likelihoods."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def mean_squared_difference(fixed: Tensor, warped: Tensor) -> Tensor:
    """Mean of (y - x∘phi)^2 over voxels, channels and the batch."""
    return F.mse_loss(warped, fixed)


def box_sum(image: Tensor, window: int) -> Tensor:
    """Sum over the cube of `window`^3 voxels (odd) around each voxel, zeros outside."""
    return _BoxSum.apply(image, window)


class _BoxSum(torch.autograd.Function):
    """The box is symmetric, so the operator is its own adjoint."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, window: int) -> Tensor:
        ctx.window = window
        for axis in (2, 3, 4):
            image = _line_sum(image, window, axis)
        return image

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        return box_sum(slope, ctx.window), None


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
    count = float(window**3)
    sums = box_sum(
        torch.cat([fixed, warped, fixed * fixed, warped * warped, fixed * warped], 1), window
    )
    f, w, ff, ww, fw = sums.chunk(5, dim=1)
    cross = fw - f * w / count
    var_fixed = (ff - f * f / count).clamp(min=0)
    var_warped = (ww - w * w / count).clamp(min=0)
    return (cross * cross / (var_fixed * var_warped + floor)).mean()
