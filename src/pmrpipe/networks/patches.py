"""Images cut into overlapping cubes, and cubes put together again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor


def starts(size: int, edge: int, stride: int) -> list[int]:
    """Where patches begin along an axis: 0, stride, ... and the last one flush with the end.

    Raises
    ------
    ValueError : an axis shorter than a patch
    """
    if size < edge:
        raise ValueError(f"an axis of {size} voxels is shorter than a patch of {edge}")
    places = list(range(0, size - edge + 1, stride))
    return places if places[-1] == size - edge else [*places, size - edge]


def filled_box(images: Sequence[Tensor], edge: int) -> tuple[slice, slice, slice] | None:
    """Where (1, 1, X, Y, Z) images are not all 0, at least `edge` voxels along each axis.

    None where all are 0; the whole grid on the meta device.
    """
    shape = images[0].shape[2:]
    if images[0].is_meta:
        return slice(shape[0]), slice(shape[1]), slice(shape[2])
    filled = torch.stack([image[0, 0] != 0 for image in images]).any(0)
    if not filled.any():
        return None
    x = _span(filled.any(2).any(1), edge)
    y = _span(filled.any(2).any(0), edge)
    z = _span(filled.any(1).any(0), edge)
    return x, y, z


def _span(filled: Tensor, edge: int) -> slice:
    """From the first to the last that is True, both sides wider where that is under `edge`."""
    places = filled.nonzero().flatten()
    first, last = int(places[0]), int(places[-1]) + 1
    first = max(0, min(first - (edge - (last - first)) // 2, len(filled) - edge, first))
    return slice(first, max(last, first + edge))


@dataclass(frozen=True)
class Patches:
    """Cubes of `edge` voxels, `stride` apart, on a grid of `shape`."""

    shape: tuple[int, ...]
    edge: int = 15
    stride: int = 14

    @property
    def corners(self) -> list[tuple[int, ...]]:
        """First voxel of each cube."""
        return list(product(*(starts(size, self.edge, self.stride) for size in self.shape)))

    def cut(self, image: Tensor, which: Sequence[int] | None = None) -> Tensor:
        """(1, C, *shape) to (N, C, edge, edge, edge), of all cubes or of those numbered."""
        corners = self.corners
        chosen = corners if which is None else [corners[n] for n in which]
        return torch.cat([image[:, :, *self._cube(corner)] for corner in chosen])

    def joined(self, cubes: Tensor, which: Sequence[int] | None = None) -> Tensor:
        """(N, C, edge, edge, edge) to (1, C, *shape): the mean where cubes overlap, 0 elsewhere.

        cubes : of all places, or of those numbered
        """
        corners = self.corners
        chosen = corners if which is None else [corners[n] for n in which]
        total = cubes.new_zeros(1, cubes.shape[1], *self.shape)
        count = cubes.new_zeros(1, 1, *self.shape)
        for cube, corner in zip(cubes, chosen, strict=True):
            place = (slice(None), slice(None), *self._cube(corner))
            total[place] += cube
            count[place] += 1
        return total / count.clamp(min=1)

    def occupied(self, *images: Tensor) -> list[int]:
        """Numbers of the cubes where not all images are 0; all of them on the meta device."""
        corners = self.corners
        if images[0].is_meta:
            return list(range(len(corners)))
        filled = sum(image.abs() for image in images)
        sums = self.cut(torch.as_tensor(filled)).sum((1, 2, 3, 4))
        return [n for n, value in enumerate(sums.tolist()) if value > 0]

    def _cube(self, corner: Sequence[int]) -> tuple[slice, slice, slice]:
        x, y, z = (slice(first, first + self.edge) for first in corner)
        return x, y, z
