"""Where images are compared at single points, and how alike they are there."""

from __future__ import annotations

import torch
from torch import Tensor

from pmrpipe.spatial.maps import Map
from pmrpipe.spatial.warp import sample


def points_within(image: Tensor, count: int) -> Tensor:
    """Random points of the image's grid, (1, 3, count) in voxels, all alike likely.

    Drawn on the CPU by torch's own generator: the same on every device.
    """
    far = torch.tensor([n - 1.0 for n in image.shape[2:]]).view(1, 3, 1)
    return (far * torch.rand(1, 3, count)).to(image.device)


def points_inside(image: Tensor, count: int) -> Tensor:
    """Random points where `image` (B, 1, X, Y, Z) is above 0, (B, 3, count) in voxels.

    A voxel inside is drawn, and a place within it; of an image that is empty the last voxel. No
    value is read back from the device.
    """
    inside = (image[:, 0] > 0).flatten(1)
    # The n-th voxel inside is where the count of them first exceeds n.
    counts = inside.long().cumsum(1)
    rank = torch.rand(image.shape[0], count).to(image.device).double() * counts[:, -1:]
    index = torch.searchsorted(counts, rank.long(), right=True).clamp(max=inside.shape[1] - 1)
    _, y, z = image.shape[2:]
    voxel = torch.stack([index // (y * z), index // z % y, index % z], 1)
    return voxel + (torch.rand(voxel.shape) - 0.5).to(image.device)


def correlation_at(moving: Tensor, fixed: Tensor, map_: Map, points: Tensor) -> Tensor:
    """Correlation of `fixed` at points and `moving` where `map_` brings them; the batch's mean.

    One correlation over all points of a pair (NCC of ICON and NePhi), in [-1, 1].
    """
    pair = [sample(fixed, points), sample(moving, map_.at(points))]
    one, other = (x - x.mean((1, 2), keepdim=True) for x in pair)
    product = (one * other).mean((1, 2))
    spread = one.square().mean((1, 2)) * other.square().mean((1, 2))
    return (product / (spread + 1e-10).sqrt()).mean()
