"""Bring images and fields to another grid that shares the field of view."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def resize_image(image: Tensor, shape: Sequence[int]) -> Tensor:
    """Resample (B, C, X, Y, Z) to `shape`; outer faces coincide.

    Axes that shrink take exact area averages, so that nothing aliases (block means where the
    factor is whole); axes that grow are interpolated linearly.
    """
    for axis, size in enumerate(shape, start=2):
        if image.shape[axis] > size:
            weights = _overlaps(image.shape[axis], size).to(image)
            image = torch.tensordot(image, weights, ([axis], [1])).movedim(-1, axis)
    if tuple(image.shape[2:]) == tuple(shape):
        return image
    return F.interpolate(image, tuple(shape), mode="trilinear", align_corners=False)


def _overlaps(n: int, m: int) -> Tensor:
    """(m, n): the part that each of n equal cells has in each of m larger ones over one length."""
    cells = torch.arange(n, dtype=torch.float64)
    start = torch.arange(m, dtype=torch.float64)[:, None] * n / m
    common = torch.minimum(cells + 1, start + n / m) - torch.maximum(cells, start)
    return common.clamp(min=0) * m / n


def resize_displacement(field: Tensor, shape: Sequence[int], rescale: bool = True) -> Tensor:
    """Resample a displacement or velocity (B, 3, X, Y, Z) to `shape`, trilinearly.

    `rescale` multiplies each component by n_to / n_from, so that it stays the same length in mm.
    """
    if tuple(field.shape[2:]) == tuple(shape):
        return field
    resized = F.interpolate(field, tuple(shape), mode="trilinear", align_corners=False)
    if not rescale:
        return resized
    zoom = field.new_tensor([m / n for n, m in zip(field.shape[2:], shape, strict=True)])
    return resized * zoom.view(1, 3, 1, 1, 1)


def pad_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """Pad (B, C, X, Y, Z) with zeros at the far ends to a multiple of `multiple`."""
    missing = [-n % multiple for n in image.shape[2:]]
    if not any(missing):
        return image
    return F.pad(image, [end for n in reversed(missing) for end in (0, n)])


def crop(image: Tensor, shape: Sequence[int]) -> Tensor:
    """Take what `pad_to_multiple` added off again."""
    x, y, z = shape
    return image[..., :x, :y, :z]


def rescale_points(points: Tensor, shape: Sequence[int], to: Sequence[int]) -> Tensor:
    """Points (B, 3, ...) of a grid of `shape`, in voxels of a grid of `to`; faces coincide."""
    zoom = points.new_tensor([m / n for n, m in zip(shape, to, strict=True)])
    return (points + 0.5) * zoom.view(1, 3, *[1] * (points.dim() - 2)) - 0.5
