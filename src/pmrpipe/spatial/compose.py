"""Composition and inversion of displacements."""

from __future__ import annotations

import torch
from torch import Tensor

from pmrpipe.spatial.warp import warp


def compose(first: Tensor, second: Tensor) -> Tensor:
    """Displacement of (id + first) after (id + second): u(p) = second(p) + first(p + second(p)).

    Both (B, 3, X, Y, Z) in voxels of one grid; `first` continues beyond its faces unchanged.
    Warping by the result equals warping by `first`, then by `second`.
    """
    return second + warp(first, second, padding="border")


@torch.no_grad()
def invert(displacement: Tensor, iterations: int = 30) -> Tensor:
    """Inverse displacement v with (id + u) after (id + v) = id, by v <- -u(p + v).

    Converges where u changes by less than one voxel per voxel (Chen et al., Med. Phys. 2008);
    each step shrinks the error by that rate.
    """
    inverse = -displacement
    for _ in range(iterations):
        inverse = -warp(displacement, inverse, padding="border")
    return inverse
