"""The mean displacement taken back: the template lies in the middle of its subjects.

Registered to a template, subjects are mapped by phi_i = id + u_i from its points to theirs. The
mean of the u_i is the template's own bias. With psi the inverse of id + mean(u), the maps
phi_i ∘ psi start from a template whose mean displacement is zero (Guimond et al., CVIU 77, 2000;
Joshi et al., NeuroImage 23, 2004). Composition is linear in the outer map, so the mean of all
phi_i ∘ psi is the mean map after psi, and no subject's field is needed to find psi.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pmrpipe.spatial.integrate import compose, invert

_MOST = 8


def correction(mean: Tensor, spacing: tuple[float, ...], limit: float = 0.005) -> Tensor:
    """psi - id (1, 3, X, Y, Z), in voxels, for a mean displacement in voxels.

    The inverse is corrected by that of what is left, until the mean displacement that is left
    is below `limit` mm on average, at most eight times.
    """
    psi = invert(mean)
    for _ in range(_MOST):
        left = compose(mean, psi)
        if float(length_mm(left, spacing).mean()) < limit:
            break
        psi = compose(psi, invert(left))
    return psi


def length_mm(displacement: Tensor, spacing: tuple[float, ...]) -> Tensor:
    """Length (X, Y, Z) in mm of a displacement (1, 3, X, Y, Z) in voxels."""
    scale = displacement.new_tensor(spacing).view(1, 3, 1, 1, 1)
    return (displacement * scale).square().sum(1).sqrt()[0]


def to_voxels(field: np.ndarray, affine: np.ndarray) -> Tensor:
    """(X, Y, Z, 3) in RAS mm to (1, 3, X, Y, Z) in voxels."""
    voxels = field @ np.linalg.inv(affine[:3, :3]).T
    return torch.from_numpy(np.ascontiguousarray(voxels.transpose(3, 0, 1, 2), np.float32))[None]


def to_millimetres(displacement: Tensor, affine: np.ndarray) -> np.ndarray:
    """The way back."""
    voxels = displacement[0].numpy().transpose(1, 2, 3, 0)
    return np.ascontiguousarray(voxels @ affine[:3, :3].T, dtype=np.float32)
