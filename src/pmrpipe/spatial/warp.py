"""Warp images and label maps by a displacement field."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor


def identity_grid(
    shape: Sequence[int],
    device: torch.device,
    dtype: torch.dtype,
    start: Sequence[int] = (0, 0, 0),
) -> Tensor:
    """Voxel coordinates (1, 3, X, Y, Z) of a grid, or of a part of one that begins at `start`."""
    axes = [
        torch.arange(first, first + n, device=device, dtype=dtype)
        for first, n in zip(start, shape, strict=True)
    ]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))[None]


def warp(
    image: Tensor,
    displacement: Tensor,
    mode: str = "bilinear",
    padding: str = "zeros",
    start: tuple[int, ...] = (0, 0, 0),
) -> Tensor:
    """Sample `image` at p + u(p).

    Parameters
    ----------
    image : (B, C, X, Y, Z)
    displacement : (B, 3, x, y, z) in voxels of `image`'s grid; the result has its shape
    mode : "bilinear" (trilinear) or "nearest"
    padding : "zeros", or "border" to repeat the outermost voxels
    start : voxel of the image where the displacement's first one lies, of a part of the grid
    """
    # Kept for whole grids: parts are many, and none of them is asked for again soon.
    unit_grid = _unit_grid.__wrapped__ if any(start) else _unit_grid
    base, scale = unit_grid(
        tuple(displacement.shape[2:]), tuple(image.shape[2:]), displacement.device,
        displacement.dtype, start,
    )  # fmt: skip
    # grid_sample wants the last array axis first, in [-1, 1].
    unit = torch.addcmul(base, displacement.permute(0, 2, 3, 4, 1).flip(-1), scale)
    return _at(image, unit, mode, padding)


def sample(image: Tensor, points: Tensor, padding: str = "border") -> Tensor:
    """`image` (B, C, X, Y, Z) at `points` (B, 3, ...) in its voxels, trilinearly: (B, C, ...).

    Either may have a batch of one, which then stands for all.
    """
    size = max(image.shape[0], points.shape[0])
    image = image.expand(size, -1, -1, -1, -1)
    far = points.new_tensor([max(n - 1, 1) for n in image.shape[2:]])
    unit = points.flatten(2).transpose(1, 2) * (2 / far) - 1
    unit = unit.flip(-1)[:, :, None, None].expand(size, -1, -1, -1, -1)
    return _at(image, unit, "bilinear", padding).reshape(size, -1, *points.shape[2:])


def _at(image: Tensor, unit: Tensor, mode: str, padding: str) -> Tensor:
    """`image` at points (B, x, y, z, 3) in units of grid_sample, the last array axis first."""
    parts = _parts(image, unit)
    if parts == 1:
        return F.grid_sample(image, unit, mode=mode, padding_mode=padding, align_corners=True)
    shared = image.expand(parts, -1, -1, -1, -1)
    points = unit.reshape(parts, -1, 1, 1, 3)
    values = F.grid_sample(shared, points, mode=mode, padding_mode=padding, align_corners=True)
    return values.movedim(1, 0).reshape(1, -1, *unit.shape[1:4])


def _parts(image: Tensor, unit: Tensor) -> int:
    """Pieces of the points that are sampled side by side.

    On a CPU torch spreads the batch alone over its threads: a single volume keeps one busy. The
    gradient of an image is made once for each piece and added up, so there the pieces are few.
    """
    batch, threads = unit.shape[0], torch.get_num_threads()
    if unit.is_cuda or batch > 1 or threads == 1:
        return 1
    points = unit.shape[1:-1].numel()
    wanted = min(threads, 4) if image.requires_grad else threads
    return next((k for k in range(wanted, 4 * wanted) if points % k == 0), 1)


@lru_cache(maxsize=32)
def _unit_grid(
    shape: tuple[int, ...],
    image: tuple[int, ...],
    device: torch.device,
    dtype: torch.dtype,
    start: tuple[int, ...] = (0, 0, 0),
) -> tuple[Tensor, Tensor]:
    """Voxel coordinates in units of grid_sample (1, X, Y, Z, 3), and that unit per voxel (3,).

    The first point is the voxel `start`.
    """
    size = torch.tensor([max(n - 1, 1) for n in image], device=device, dtype=dtype)
    scale = (2 / size).flip(0)
    points = identity_grid(shape, device, dtype, start).permute(0, 2, 3, 4, 1).flip(-1)
    return points * scale - 1, scale
