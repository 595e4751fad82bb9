"""Eq. 6 of PMR (Liu et al., MICCAI 2019): the negative variational lower bound.

    1/(2 sigma^2 K) sum_k |y - x∘phi_zk|^2 + 1/2 [ tr(lambda D Sigma - log Sigma) + mu' Lambda mu ]

with Lambda = lambda (D - A), the Laplacian of the 6-neighbour voxel grid, D its degree matrix.
`Factors` names every constant, so that the exact sum and the form that is implemented by
VoxelMorph-diff and by the authors' code differ in constants alone. Additive constants (the log
determinant of the singular Laplacian, the number of dimensions) are dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Factors:
    """Factors of the terms of Eq. 6.

    reconstruction : multiplies the squared difference / sigma^2
    trace, entropy, smoothness : multiply sum(lambda D Sigma), sum(log Sigma) and the sum over
        *unordered* neighbour pairs of lambda (mu_i - mu_j)^2
    mean : True takes means (over voxels and components; over pairs for the smoothness, by axis)
        in place of sums
    """

    reconstruction: float
    trace: float
    entropy: float
    smoothness: float
    mean: bool


# Sums; mu' Lambda mu = lambda * sum over unordered pairs, times the 1/2 in front.
EXACT = Factors(reconstruction=0.5, trace=0.5, entropy=0.5, smoothness=0.5, mean=False)
# 0.5 ndims [mean(lambda D var - log var) + lambda 0.5/ndims sum_axes mean(diff^2)], ndims = 3,
# beside mean squared difference / sigma^2 (registration codes of VoxelMorph-diff and PMR).
IMPLEMENTED = Factors(reconstruction=1.0, trace=1.5, entropy=1.5, smoothness=0.25, mean=True)
FACTORS = {"exact": EXACT, "implemented": IMPLEMENTED}


def degree(shape: tuple[int, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Diagonal of D, (1, 1, X, Y, Z): neighbours of each voxel, 6 inside and fewer at faces."""
    count = torch.zeros(1, 1, *shape, device=device, dtype=dtype)
    for axis, size in enumerate(shape, start=2):
        for side in (slice(1, None), slice(None, -1)) if size > 1 else ():
            index = [slice(None)] * 5
            index[axis] = side
            count[tuple(index)] += 1
    return count


def kullback_leibler(
    mean: Tensor, log_variance: Tensor | None, precision: float, factors: Factors
) -> dict[str, Tensor]:
    """KL of q = N(mean, diag exp log_variance) from the prior N(0, Lambda^-1), without constants.

    Parameters
    ----------
    mean, log_variance : (B, 3, X, Y, Z), of a velocity in voxels of its grid; without a
        log-variance q is a point, and only the smoothness remains
    precision : lambda

    Returns
    -------
    trace, entropy, smoothness : scalars, whose sum is the KL term, averaged over the batch
    """
    reduce = torch.mean if factors.mean else _batch_sum
    # A side of one voxel has no neighbours, of which a mean would not be a number.
    axes = [axis for axis in (2, 3, 4) if mean.shape[axis] > 1]
    squares = [reduce(mean.diff(dim=axis) ** 2) for axis in axes]
    smoothness = factors.smoothness * precision * sum(squares, mean.new_zeros(()))
    if log_variance is None:
        return {"smoothness": smoothness}
    weight = degree(tuple(mean.shape[2:]), mean.device, mean.dtype)
    trace = factors.trace * reduce(precision * weight * log_variance.exp())
    entropy = -factors.entropy * reduce(log_variance)
    return {"trace": trace, "entropy": entropy, "smoothness": smoothness}


def reconstruction(squared_difference: Tensor, sigma: float, factors: Factors) -> Tensor:
    """Likelihood term of one sample from the mean squared difference and its voxel count.

    With `factors.mean` the caller passes the mean, else the sum over voxels.
    """
    return factors.reconstruction * squared_difference / sigma**2


def _batch_sum(values: Tensor) -> Tensor:
    return values.sum() / values.shape[0]
