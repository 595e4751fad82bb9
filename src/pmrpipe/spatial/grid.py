"""Coordinates of the voxels of a grid, built once per shape."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

Shape = tuple[int, int, int]


def identity_grid(
    shape: Shape, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> Tensor:
    """Voxel coordinates (1, 3, X, Y, Z) of every voxel; cached, so never write into it."""
    return _identity(tuple(shape), torch.device(device), dtype)


@lru_cache(maxsize=32)
def _identity(shape: Shape, device: torch.device, dtype: torch.dtype) -> Tensor:
    axes = [torch.arange(n, device=device, dtype=dtype) for n in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))[None]


@lru_cache(maxsize=32)
def sampling_grid(shape: Shape, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The identity for `grid_sample` (align_corners=False): (1, X, Y, Z, 3), last axis z, y, x."""
    voxels = _identity(shape, device, dtype).flip(1).movedim(1, -1)
    return (2 * voxels + 1) / voxel_counts(shape, device, dtype) - 1


@lru_cache(maxsize=32)
def voxel_counts(shape: Shape, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Voxels along each axis in the order z, y, x that `grid_sample` uses."""
    return torch.tensor(shape[::-1], device=device, dtype=dtype)
