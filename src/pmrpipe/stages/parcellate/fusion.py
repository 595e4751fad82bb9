"""Label maps of atlases, brought to one scan, become one label map.

Every atlas votes for its label with a weight; the shares of the votes are smoothed a little, and
the label with most of them wins: people draw smoother borders than votes do. `majority`
weighs all alike. `local` weighs an atlas by how well its image resembles the scan around the voxel
(Artaechevarria et al., TMI 28 (2009) 1266-1277). `joint` takes besides into account that atlases
err alike (Wang et al., TPAMI 35 (2013) 611-623): the weights minimise the expected error

    w = M^-1 1 / (1' M^-1 1),    M_ij = E[error_i error_j].

Around every voxel the images are standardised within a cube, so that the errors' products are
sums of correlations: with r_ij between atlases i and j, and r_iT between an atlas and the scan,
M_ij is (1 + r_ij - r_iT - r_jT) / 2, raised to the power `sharpness`; `ridge` times the mean of its
diagonal is added to that. Negative weights are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy.ndimage import find_objects, gaussian_filter
from torch import Tensor

from pmrpipe.losses.similarity import box_sum

Kind = Literal["majority", "local", "joint"]
# Slices along the first axis that are worked on at a time.
_SLAB = 24
# Deviations after which the Gaussian ends; differences of shares that mean nothing.
_REACH, _EQUAL = 3.0, 1e-6
# Variances below this one are those of a constant image.
_FLAT = 1e-6


@dataclass(frozen=True)
class Fusion:
    """How votes are weighed.

    kind : `majority`, `local` or `joint`
    window : edge, voxels, odd, of the cube within which images are compared
    sharpness : power of the resemblance (`local`) or of the errors' products (`joint`)
    ridge : of the mean of M's diagonal, added to each of its entries; higher: more alike weights
    smooth_mm : deviation of the Gaussian that smooths each label's share of the votes; 0: none
    """

    kind: Kind = "joint"
    window: int = 9
    sharpness: float = 2.0
    ridge: float = 0.5
    smooth_mm: float = 0.7


@dataclass(frozen=True)
class Fused:
    """labels : (X, Y, Z) int32; confidence : (X, Y, Z), the smoothed share that the label won"""

    labels: np.ndarray
    confidence: np.ndarray


def fuse(
    labels: Sequence[np.ndarray],
    images: Sequence[np.ndarray],
    target: np.ndarray,
    fusion: Fusion | None = None,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Fused:
    """Fuse the atlases' labels on the grid of `target`.

    Parameters
    ----------
    labels : one label map (X, Y, Z) for each atlas, integers, 0 = background
    images : the atlases' images there, (X, Y, Z)
    target : image of the scan, (X, Y, Z)
    spacing : of the grid, mm

    Raises
    ------
    ValueError : no atlas, as many images as labels, or arrays of different shapes
    """
    fusion = fusion or Fusion()
    if not labels or len(labels) != len(images):
        raise ValueError(f"{len(labels)} label maps and {len(images)} images")
    if {a.shape for a in (*labels, *images)} != {target.shape}:
        raise ValueError("labels and images must be on the target's grid")
    weights = _all_weights(labels, images, target, fusion)
    return _elected(labels, weights, [fusion.smooth_mm / mm for mm in spacing])


def _all_weights(
    labels: Sequence[np.ndarray],
    images: Sequence[np.ndarray],
    target: np.ndarray,
    fusion: Fusion,
) -> np.ndarray:
    """(atlases, X, Y, Z) float32, of sum 1 at each voxel; alike where all atlases agree."""
    weights = np.full((len(labels), *target.shape), 1 / len(labels), np.float32)
    for part, inner, wide in _slabs(target.shape[0], fusion.window // 2):
        first, *others = (map_[part] for map_ in labels)
        contested = np.any([first != other for other in others], axis=0) if others else None
        if contested is None or not contested.any():
            continue
        there = torch.from_numpy(contested)
        own = _weights([a[wide] for a in images], target[wide], inner, there, fusion)
        weights[:, part][:, contested] = (own / own.sum(0)).numpy()
    return weights


def _elected(
    labels: Sequence[np.ndarray], weights: np.ndarray, deviations: Sequence[float]
) -> Fused:
    """The label with the largest smoothed share at each voxel; of equal ones the smallest.

    Where all atlases agree it is theirs.
    """
    numbers = np.unique(np.concatenate([np.unique(map_) for map_ in labels]))
    votes = [np.searchsorted(numbers, map_) for map_ in labels]
    won = np.zeros(weights.shape[1:], np.int32)
    confidence = np.zeros(weights.shape[1:], np.float32)
    places = [find_objects(vote + 1, len(numbers)) for vote in votes]
    room = [int(np.ceil(_REACH * deviation)) for deviation in deviations]
    for index, number in enumerate(numbers):
        box = _around([own[index] for own in places if own[index]], room, won.shape)
        share = np.zeros(won[box].shape, np.float32)
        for vote, weight in zip(votes, weights, strict=True):
            share += weight[box] * (vote[box] == index)
        share = gaussian_filter(share, deviations, truncate=_REACH, mode="nearest")
        # Rounding must not decide between equal shares.
        more = share > confidence[box] + _EQUAL
        won[box][more] = number
        confidence[box][more] = share[more]
    agreed = np.all([map_ == labels[0] for map_ in labels[1:]], axis=0)
    return Fused(
        np.where(agreed, labels[0], won).astype(np.int32),
        np.where(agreed, 1, np.minimum(confidence, 1)).astype(np.float32),
    )


def _around(
    boxes: Sequence[tuple[slice, ...]], room: Sequence[int], shape: tuple[int, ...]
) -> tuple[slice, ...]:
    """The box that holds all boxes, with some room, within the grid."""
    return tuple(
        slice(
            max(0, min(part.start for part in parts) - more),
            min(size, max(part.stop for part in parts) + more),
        )
        for parts, more, size in zip(zip(*boxes, strict=True), room, shape, strict=True)
    )


def _slabs(length: int, halo: int) -> Iterator[tuple[slice, slice, slice]]:
    """Slices of the first axis: the slab, where it lies in its wide one, and the wide one."""
    for start in range(0, length, _SLAB):
        stop = min(start + _SLAB, length)
        first = max(0, start - halo)
        inner = slice(start - first, stop - first)
        yield slice(start, stop), inner, slice(first, min(length, stop + halo))


def _weights(
    images: Sequence[np.ndarray],
    target: np.ndarray,
    inner: slice,
    contested: Tensor,
    fusion: Fusion,
) -> Tensor:
    """(atlases, N), positive, at the contested voxels of a slab."""
    if fusion.kind == "majority":
        return torch.ones(len(images), int(contested.sum()))
    stack = torch.from_numpy(np.stack([*images, target])).float()[:, None]
    correlations = _Correlations(stack, fusion.window, inner, contested)
    last = len(images)
    alike = torch.stack([correlations.between(i, last) for i in range(last)])
    if fusion.kind == "local":
        return alike.clamp(min=0) ** fusion.sharpness + 1e-6
    return _joint(alike, correlations, fusion)


def _joint(alike: Tensor, correlations: _Correlations, fusion: Fusion) -> Tensor:
    count, voxels = alike.shape
    errors = torch.empty(voxels, count, count)
    for i in range(count):
        for j in range(i + 1):
            between = correlations.between(i, j) if i != j else 1.0
            product = ((1 + between - alike[i] - alike[j]) / 2).clamp(min=0)
            errors[:, i, j] = errors[:, j, i] = product**fusion.sharpness
    mean = errors.diagonal(dim1=1, dim2=2).mean(1)
    errors += (fusion.ridge * mean + 1e-6)[:, None, None] * torch.eye(count)
    solved = torch.linalg.solve(errors, torch.ones(voxels, count, 1))[..., 0]
    return solved.clamp(min=0).T + 1e-6


class _Correlations:
    """Local correlations of a stack of images (N, 1, X, Y, Z), at some voxels of a slab."""

    def __init__(self, stack: Tensor, window: int, inner: slice, contested: Tensor) -> None:
        self.stack, self.window = stack, window
        self.inner, self.contested = inner, contested
        counts = box_sum(torch.ones_like(stack[:1]), window)
        self._count = self._there(counts)[0]
        self._sums = self._there(box_sum(stack, window))
        squares = self._there(box_sum(stack.square(), window))
        self._variances = (squares - self._sums.square() / self._count).clamp(min=0)

    def between(self, i: int, j: int) -> Tensor:
        """(N,), in [-1, 1]; 0 where one of the two is constant."""
        products = self._there(box_sum(self.stack[i : i + 1] * self.stack[j : j + 1], self.window))
        covariance = products[0] - self._sums[i] * self._sums[j] / self._count
        variance = self._variances[i] * self._variances[j]
        flat = variance <= (_FLAT * self._count) ** 2
        return torch.where(flat, 0.0, covariance / variance.clamp(min=1e-20).sqrt()).clamp(-1, 1)

    def _there(self, values: Tensor) -> Tensor:
        return values[:, 0, self.inner][:, self.contested]
