"""Jacobian determinant of a displacement field."""

from __future__ import annotations

import torch
from torch import Tensor

from pmrpipe.spatial.blocks import blocks, is_large


def gradient(field: Tensor) -> Tensor:
    """Derivatives (B, 3, 3, X, Y, Z) [component, axis], central differences, one-sided at faces."""
    slopes = torch.gradient(field, dim=(2, 3, 4))
    return torch.stack(slopes, dim=2)


def jacobian_determinant(displacement: Tensor) -> Tensor:
    """det(I + grad u), (B, X, Y, Z), for a displacement in voxels; every axis needs 2 voxels.

    The determinant is the same in mm: the spacing of the grid cancels.
    """
    j = gradient(displacement)
    a, b, c = j[:, 0, 0] + 1, j[:, 0, 1], j[:, 0, 2]
    d, e, f = j[:, 1, 0], j[:, 1, 1] + 1, j[:, 1, 2]
    g, h, i = j[:, 2, 0], j[:, 2, 1], j[:, 2, 2] + 1
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


def lowest_jacobian(displacement: Tensor) -> Tensor:
    """The smallest `jacobian_determinant` of all voxels, a scalar; large grids go in blocks."""
    shape = displacement.shape[2:]
    if not is_large(shape):
        return jacobian_determinant(displacement).min()
    determinants = (
        jacobian_determinant(block.seen(displacement))[(..., *block.inner)].min()
        for block in blocks(shape, reach=1)
    )
    return torch.stack(list(determinants)).min()
