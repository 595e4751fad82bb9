"""How a displacement changes volume."""

from __future__ import annotations

import torch
from torch import Tensor


def jacobian_determinant(displacement: Tensor) -> Tensor:
    """det of d(p + u)/dp, (B, X, Y, Z): central differences, one-sided on the faces.

    `displacement` (B, 3, X, Y, Z) in voxels. The spacing does not matter: measured in mm the
    matrix becomes S J S^-1, of equal determinant.
    """
    rows = [torch.gradient(displacement[:, i], dim=(1, 2, 3)) for i in range(3)]
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rows
    xx, yy, zz = xx + 1, yy + 1, zz + 1
    return xx * (yy * zz - yz * zy) - xy * (yx * zz - yz * zx) + xz * (yx * zy - yy * zx)
