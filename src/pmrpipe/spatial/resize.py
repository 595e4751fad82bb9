"""Images and displacements on another sampling of the same field of view.

Voxels are cells: grids of n and m voxels that share a field of view have voxel centres at
(i + 1/2) / n and (j + 1/2) / m of it (torch's align_corners=False).
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from pmrpipe.spatial.grid import Shape


def resize_image(image: Tensor, shape: Shape) -> Tensor:
    """Bring (B, C, X, Y, Z) to `shape`: along each axis exact area averages if it shrinks
    (which removes what the coarser grid cannot show), linear interpolation if it grows."""
    for axis, size in enumerate(shape):
        if image.shape[axis + 2] > size:
            weights = _overlaps(image.shape[axis + 2], size).to(image)
            image = torch.tensordot(image, weights, dims=([axis + 2], [1])).movedim(-1, axis + 2)
    if tuple(image.shape[2:]) == tuple(shape):
        return image.contiguous()
    return F.interpolate(image, tuple(shape), mode="trilinear", align_corners=False)


@lru_cache(maxsize=32)
def _overlaps(n: int, m: int) -> Tensor:
    """(m, n): the share of each of n cells in each of m larger cells over the same length."""
    edges = torch.arange(n, dtype=torch.float64)
    low = torch.arange(m, dtype=torch.float64)[:, None] * n / m
    inside = torch.minimum(edges + 1, low + n / m) - torch.maximum(edges, low)
    return (inside.clamp(min=0) * m / n).float()


def resize_displacement(displacement: Tensor, shape: Shape) -> Tensor:
    """Bring (B, 3, x, y, z) in voxels of its grid to `shape`, in voxels of the new grid.

    Trilinear; magnitudes grow by n_to / n_from along each axis.
    """
    old = displacement.shape[2:]
    if tuple(old) == tuple(shape):
        return displacement
    zoom = displacement.new_tensor([new / n for new, n in zip(shape, old, strict=True)])
    larger = F.interpolate(displacement, tuple(shape), mode="trilinear", align_corners=False)
    return larger * zoom.view(1, 3, 1, 1, 1)


def enlarge(displacement: Tensor, factor: int, shape: Shape, rescale: bool = True) -> Tensor:
    """Bring a displacement from voxels `factor` times larger to a grid of `shape` voxels.

    A convolution of stride 2 leaves ceil(n / 2) voxels, so a coarse grid may reach beyond the
    fine one at its far end: both start at the same corner, and the excess is cropped.

    Parameters
    ----------
    displacement : (B, 3, x, y, z) with x = ceil(X / factor), in voxels of its grid
    rescale : multiply by `factor`, so that the result is in voxels of the new grid; without it
        the numbers stay and mean `factor` times less
    """
    whole = tuple(factor * n for n in displacement.shape[2:])
    if factor > 1:
        displacement = F.interpolate(displacement, whole, mode="trilinear", align_corners=False)
    x, y, z = shape
    displacement = displacement[:, :, :x, :y, :z]
    return displacement * factor if rescale and factor > 1 else displacement
