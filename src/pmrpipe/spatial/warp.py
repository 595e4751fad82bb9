"""Pulling images and label maps back through a displacement."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from pmrpipe.spatial.grid import sampling_grid, voxel_counts

Mode = Literal["bilinear", "nearest"]
Padding = Literal["zeros", "border"]


def warp(
    image: Tensor, displacement: Tensor, mode: Mode = "bilinear", padding: Padding = "zeros"
) -> Tensor:
    """Resample `image` at p + u(p): warped(p) = image(p + u(p)).

    Parameters
    ----------
    image : (B, C, X, Y, Z)
    displacement : (B, 3, X, Y, Z), voxels of the same grid
    mode : "bilinear" means trilinear, as in torch
    padding : value outside the grid, zero or that of the nearest face

    Raises
    ------
    ValueError : the two lie on different grids
    """
    shape = tuple(displacement.shape[2:])
    if image.shape[2:] != displacement.shape[2:]:
        raise ValueError(f"image {tuple(image.shape[2:])} and displacement {shape} differ in shape")
    where = displacement.device, displacement.dtype
    # grid_sample counts its coordinates in reverse axis order, the whole axis spanning 2.
    step = displacement.flip(1).movedim(1, -1) * (2 / voxel_counts(shape, *where))
    return F.grid_sample(
        image, sampling_grid(shape, *where) + step, mode, padding, align_corners=False
    )


def warp_labels(labels: Tensor, displacement: Tensor, interpolation: str = "nearest") -> Tensor:
    """Warp an integer label map (B, 1, X, Y, Z); background 0 outside; same integer type back.

    `interpolation` is "nearest" or "linear": the label whose trilinearly warped indicator is
    largest, indicators taken one at a time so that memory does not grow with their number.
    """
    if interpolation == "nearest":
        return warp(labels.to(displacement.dtype), displacement, "nearest").to(labels.dtype)
    winner, best = torch.zeros_like(labels), warp((labels == 0).to(displacement), displacement)
    # What leaves the grid is background.
    best += 1 - warp(torch.ones_like(best), displacement)
    for value in labels.unique().tolist():
        if value != 0:
            share = warp((labels == value).to(displacement), displacement)
            winner[share > best] = value
            best = torch.maximum(best, share)
    return winner
