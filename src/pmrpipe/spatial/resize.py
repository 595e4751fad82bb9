"""Bring images and fields to another grid that shares the field of view."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor


def resize_image(image: Tensor, shape: Sequence[int]) -> Tensor:
    """Resample (B, C, X, Y, Z) to `shape`; outer faces coincide.

    Whole factors downward are block means, others are trilinear after block means of the whole
    part of the factor, so that nothing aliases.
    """
    if tuple(image.shape[2:]) == tuple(shape):
        return image
    factors = [max(1, n // m) for n, m in zip(image.shape[2:], shape, strict=True)]
    if any(factor > 1 for factor in factors):
        image = F.avg_pool3d(image, factors, ceil_mode=True, count_include_pad=False)
    if tuple(image.shape[2:]) == tuple(shape):
        return image
    return F.interpolate(image, tuple(shape), mode="trilinear", align_corners=False)


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
