"""Warp images and label maps by a displacement field."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def identity_grid(shape: Sequence[int], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Voxel coordinates (1, 3, X, Y, Z) of a grid."""
    axes = [torch.arange(n, device=device, dtype=dtype) for n in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))[None]


def warp(
    image: Tensor, displacement: Tensor, mode: str = "bilinear", padding: str = "zeros"
) -> Tensor:
    """Sample `image` at p + u(p).

    Parameters
    ----------
    image : (B, C, X, Y, Z)
    displacement : (B, 3, x, y, z) in voxels of `image`'s grid; the result has its shape
    mode : "bilinear" (trilinear) or "nearest"
    padding : "zeros", or "border" to repeat the outermost voxels
    """
    points = displacement + identity_grid(
        displacement.shape[2:], displacement.device, displacement.dtype
    )
    return sample(image, points, mode, padding)


def sample(image: Tensor, points: Tensor, mode: str = "bilinear", padding: str = "zeros") -> Tensor:
    """Sample `image` at `points` (B, 3, x, y, z), voxel coordinates of its grid."""
    size = points.new_tensor([max(n - 1, 1) for n in image.shape[2:]])
    # grid_sample wants the last array axis first, in [-1, 1].
    unit = (2 * points / size.view(1, 3, 1, 1, 1) - 1).flip(1).permute(0, 2, 3, 4, 1)
    return F.grid_sample(
        image, unit.expand(image.shape[0], -1, -1, -1, -1), mode=mode, padding_mode=padding,
        align_corners=True,
    )  # fmt: skip


def warp_labels_onehot(labels: Tensor, displacement: Tensor, values: Sequence[int]) -> Tensor:
    """Warp a label map (B, 1, X, Y, Z) by linear interpolation of each label's indicator.

    The label with the greatest interpolated share wins, the background included; memory stays
    at two volumes, whatever the number of labels.
    """
    best = warp((labels == 0).float(), displacement, padding="border")
    winner = torch.zeros_like(best, dtype=labels.dtype)
    for value in values:
        share = warp((labels == value).float(), displacement)
        winner = torch.where(share > best, value, winner)
        best = torch.maximum(share, best)
    return winner
