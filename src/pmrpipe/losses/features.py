"""Features of an image that two contrasts share: what to compare where intensities mean nothing.

`self_similarity` is the modality independent neighbourhood descriptor with self-similarity context
(Heinrich et al., MICCAI 2013): how unlike pairs of neighbouring patches are, which depends on where
edges run and not on which side is bright.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pmrpipe.losses.similarity import box_sum

# The six neighbours of a voxel, and the twelve pairs of them that share an edge of the cube.
_NEIGHBOURS = ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))
_PAIRS = tuple(
    (first, second)
    for number, first in enumerate(_NEIGHBOURS)
    for second in _NEIGHBOURS[number + 1 :]
    if sum(a * b for a, b in zip(first, second, strict=True)) == 0
)
# Voxels that a descriptor looks at away from its own; and what makes its changes those of a
# correlation, by whose progress a level is ended.
REACH, _SCALE = 2, 5.0


def self_similarity(
    image: Tensor, dilation: int = 1, patch: int = 3, middle: Tensor | None = None
) -> Tensor:
    """Descriptor (B, 12, X, Y, Z) in [0, 1] of an image (B, 1, X, Y, Z).

    exp(-d / v) of the twelve squared differences d between patches of `patch`^3 voxels around
    neighbours `dilation` voxels away, v their mean, limited to a thousandth and a thousand times
    the mean over the image, or `middle` in its place: that of the whole for a part of it.
    """
    distances, spread = _distances(image, dilation, patch)
    middle = spread.mean().detach() if middle is None else middle  # no slope, as in the source
    return torch.exp(-distances / spread.clamp(1e-3 * middle, 1e3 * middle).clamp(min=1e-8))


def spread_of(image: Tensor) -> Tensor:
    """v of `self_similarity` at every voxel, (B, 1, X, Y, Z)."""
    return _distances(image, 1, 3)[1]


def _distances(image: Tensor, dilation: int, patch: int) -> tuple[Tensor, Tensor]:
    """Differences between patches (B, 12, X, Y, Z), and their mean (B, 1, X, Y, Z)."""
    padded = F.pad(image, [dilation] * 6, mode="replicate")
    views = {n: _shifted(padded, n, dilation, image.shape) for n in _NEIGHBOURS}
    squares = torch.cat([(views[a] - views[b]).square() for a, b in _PAIRS], 1)
    distances = box_sum(squares, patch) / patch**3
    distances = distances - distances.amin(1, keepdim=True)
    return distances, distances.mean(1, keepdim=True)


def agreement_map(
    known: Tensor, warped: Tensor, middle: Tensor | None = None, counted: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """How alike descriptors are at every voxel, and how much it counts, (B, 1, X, Y, Z).

    1 less their mean squared difference times five, which has about a correlation's range. The
    agreement of two images is the sum of the first over that of the second.

    Parameters
    ----------
    known : (B, 12, X, Y, Z) of the fixed image, by `self_similarity`
    warped : (B, 1, X, Y, Z)
    middle : as of `self_similarity`
    counted : (B, 1, X, Y, Z) in [0, 1], how much each voxel counts; a descriptor counts as little
        as the least of the voxels that it looks at
    """
    apart = (known - self_similarity(warped, middle=middle)).square().mean(1, keepdim=True)
    weight = torch.ones_like(apart) if counted is None else _least(counted)
    return (1 - _SCALE * apart) * weight, weight


def _least(counted: Tensor) -> Tensor:
    return -F.max_pool3d(-counted, 2 * REACH + 1, 1, REACH)


def _shifted(padded: Tensor, by: tuple[int, int, int], step: int, shape: torch.Size) -> Tensor:
    for axis, (shift, size) in enumerate(zip(by, shape[2:], strict=True), 2):
        padded = padded.narrow(axis, step + step * shift, size)
    return padded
