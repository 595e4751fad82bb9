"""Intensities with mean 0 and deviation 1, over the whole grid or around each voxel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def standardised(features: Tensor) -> Tensor:
    """Channels of (B, C, X, Y, Z) with mean 0 and deviation 1 over the grid."""
    if features.shape[2:].numel() == 1:
        return features - features  # Rounding, divided by next to nothing, would not be 0.
    return torch.instance_norm(
        features, None, None, None, None, use_input_stats=True, momentum=0, eps=1e-12,
        cudnn_enabled=False,
    )  # fmt: skip


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
