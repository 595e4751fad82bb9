"""Hencky (logarithmic) strain of a map: how far it is from a rotation, voxel by voxel.

With F = I + grad u and its singular values s1 >= s2 >= s3 (the principal stretches), the strain
is the length of the vector (log s1, log s2, log s3). A rotation before or after changes nothing.
The vector is the sum of two orthogonal parts: volume, where the three are equal, and shear, where
their sum is 0. Source: Hencky, Z. Techn. Phys. 9 (1928) 215; the two parts are those of Neff,
Eidel, Martin, Arch. Ration. Mech. Anal. 222 (2016) 507.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def metric_factor(affine: np.ndarray) -> np.ndarray:
    """Upper triangular R (3, 3) with R'R = A'A, A being the 3x3 part of a grid's affine.

    A step e along the array axes is R e in mm up to a rotation, which strain does not see.
    """
    return np.linalg.cholesky(affine[:3, :3].T @ affine[:3, :3]).T


def gradient_in_mm(columns: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """I + grad u in mm, up to rotations, from differences in voxels.

    Parameters
    ----------
    columns : (3, 3, N), [axis, component]: change of the displacement (voxels) for one voxel
        step along an array axis
    factor : R of `metric_factor`

    Returns
    -------
    (3, 3, N), [axis, component]; equal to `columns` + I on a grid of cubic voxels
    """
    steps = columns + np.eye(3, dtype=columns.dtype)[:, :, None]
    if np.allclose(factor, factor[0, 0] * np.eye(3), rtol=0, atol=1e-6 * factor[0, 0]):
        return steps
    inverse, factor = (m.astype(columns.dtype) for m in (np.linalg.inv(factor), factor))
    return np.einsum("ab,acn->bcn", inverse, np.einsum("cd,adn->acn", factor, steps))


def log_stretches(gradient: np.ndarray, floor: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logarithms of the singular values of F, largest first, three arrays (N,).

    The eigenvalues of F'F in closed form (Smith, Commun. ACM 4 (1961) 168). The smallest comes
    from det F, which keeps its digits where the volume all but vanishes. A folded voxel counts
    with the singular values of its F, which are positive: its strain is finite.

    Parameters
    ----------
    gradient : (3, 3, N) float, [axis, component]
    floor : singular values below it count as it
    """
    a, b, c = gradient
    diagonal = [_dot(a, a), _dot(b, b), _dot(c, c)]
    ab, ac, bc = _dot(a, b), _dot(a, c), _dot(b, c)
    middle = (diagonal[0] + diagonal[1] + diagonal[2]) / 3
    x, y, z = (entry - middle for entry in diagonal)
    spread = np.sqrt((x * x + y * y + z * z + 2 * (ab * ab + ac * ac + bc * bc)) / 6)
    third = x * (y * z - bc * bc) - ab * (ab * z - bc * ac) + ac * (ab * bc - y * ac)
    tiny = np.finfo(gradient.dtype).tiny
    angle = np.arccos(np.clip(third / (2 * spread**3 + tiny), -1, 1)) / 3
    along = np.cos(angle)
    across = np.sqrt(3 * (1 - along * along))
    squares = middle + 2 * spread * along, middle + spread * (across - along)
    first, second = (0.5 * np.log(np.maximum(square, floor**2)) for square in squares)
    lowest = np.log(floor)
    volume = np.log(np.maximum(np.abs(_dot(a, _cross(b, c))), tiny))
    return first, second, np.maximum(volume - first - second, lowest)


def _dot(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> np.ndarray:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def strain_sums(gradient: np.ndarray, floor: float) -> tuple[float, float]:
    """Sums over voxels of the squared strain, and of the square of its volume part."""
    stretches = log_stretches(gradient, floor)
    squares = sum(float(np.square(one).sum(dtype=np.float64)) for one in stretches)
    volume = float(np.square(sum(stretches)).sum(dtype=np.float64)) / 3
    return squares, volume
