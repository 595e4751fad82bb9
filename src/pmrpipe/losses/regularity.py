"""Penalties on a displacement field: gradients and folds."""

from __future__ import annotations

from torch import Tensor

from pmrpipe.spatial.jacobian import jacobian_determinant


def squared_gradient(field: Tensor) -> Tensor:
    """Mean over axes of the mean squared forward difference (Balakrishnan et al., TMI 2019).

    An axis of one voxel counts as flat.
    """
    axes = [axis for axis in (2, 3, 4) if field.shape[axis] > 1]
    return sum(((field.diff(dim=axis) ** 2).mean() for axis in axes), field.new_zeros(())) / 3


def folding(displacement: Tensor) -> Tensor:
    """Sum of (|det J| - det J) / 2, averaged over the batch (Kuang & Schmah 2018)."""
    determinant = jacobian_determinant(displacement)
    return (determinant.abs() - determinant).sum() / (2 * determinant.shape[0])
