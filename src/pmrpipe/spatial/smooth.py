"""Gaussian smoothing of images and fields."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def smoothed(field: Tensor, deviation: float) -> Tensor:
    """`field` (B, C, X, Y, Z) under a Gaussian of `deviation` voxels, cut at three of them.

    Beyond the faces the outermost voxels are repeated; 0 returns the field itself.
    """
    if deviation <= 0:
        return field
    weights = _weights(deviation)
    reach = len(weights) - 1
    for axis in (2, 3, 4):
        pad = [0] * 6
        pad[2 * (4 - axis)] = pad[2 * (4 - axis) + 1] = reach
        size, wide = field.shape[axis], F.pad(field, pad, mode="replicate")
        field = wide.narrow(axis, reach, size) * weights[0]
        for away, weight in enumerate(weights[1:], start=1):
            field.add_(wide.narrow(axis, reach - away, size), alpha=weight)
            field.add_(wide.narrow(axis, reach + away, size), alpha=weight)
    return field


def _weights(deviation: float) -> list[float]:
    """Of the voxels 0, 1, 2, ... away; both sides together sum to 1."""
    away = torch.arange(math.ceil(3 * deviation) + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (away / deviation) ** 2)
    return (weights / (2 * weights.sum() - weights[0])).tolist()
