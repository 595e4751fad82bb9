"""Intensities with mean 0 and deviation 1, over the whole grid or around each voxel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Least range of intensities, and how far the darkest voxel inside lies above the background.
_LEAST = 1e-3


def standardised(features: Tensor) -> Tensor:
    """Channels of (B, C, X, Y, Z) with mean 0 and deviation 1 over the grid."""
    if features.shape[2:].numel() == 1:
        return features - features  # Rounding, divided by next to nothing, would not be 0.
    return torch.instance_norm(
        features, None, None, None, None, use_input_stats=True, momentum=0, eps=1e-12,
        cudnn_enabled=False,
    )  # fmt: skip


def quantile_scaled(image: Tensor, low: float, high: float) -> Tensor:
    """Images (B, 1, X, Y, Z) whose voxels above 0 are scaled from two of their quantiles to [0, 1].

    What lies beyond is cut off; the background stays 0, and the brain stays above it.
    """
    inside = image > 0
    values = torch.where(inside, image, torch.nan).flatten(1)
    ends = torch.nanquantile(values, image.new_tensor([low, high]), dim=1, keepdim=True)
    first, last = (end.view(-1, 1, 1, 1, 1) for end in ends)
    scaled = ((image - first) / (last - first).clamp(min=_LEAST)).clamp(_LEAST, 1)
    return torch.where(inside, scaled, 0)


def locally_standardised(image: Tensor, window: int, floor: float = 1e-3) -> Tensor:
    """(image - mean) / deviation over the cube of `window`^3 voxels (odd) around each voxel.

    It takes away what differs between scans and not between shapes: contrast and bias. `floor`
    is added to the variance of images in [0, 1], so that flat regions stay near 0; beyond the
    faces the image is 0.
    """
    mean, square = image, image * image
    for axis in range(3):
        size = [window if a == axis else 1 for a in range(3)]
        mean, square = (_line_mean(part, size) for part in (mean, square))
    return (image - mean) / ((square - mean * mean).clamp(min=0) + floor).sqrt()


def _line_mean(image: Tensor, size: list[int]) -> Tensor:
    """Means of `size` voxels, zeros outside; a side may be shorter than that."""
    if all(n >= k for n, k in zip(image.shape[2:], size, strict=True)):
        return F.avg_pool3d(image, size, 1, [k // 2 for k in size])
    around = [edge for k in reversed(size) for edge in (k // 2, k // 2)]
    return F.avg_pool3d(F.pad(image, around), size, 1)
