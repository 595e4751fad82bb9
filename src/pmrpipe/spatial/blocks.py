"""Large grids in overlapping blocks: memory is bounded by a block's, not by the grid's.

What is worked out at a voxel from its neighbours within a reach is the same in a block that is
wider by that reach: it ends where the grid ends, or beyond what any of its own voxels sees.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

from torch import Tensor

from pmrpipe.spatial.warp import warp

# Grids of more voxels than this are worked on in blocks: a head at 0.9 mm is not, at 0.8 mm it is.
WHOLE_VOXELS = 10_000_000
_EDGE = 96

Slices = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Block:
    """A part of a grid, as slices of its three axes.

    core : the block's own voxels
    wide : these and their neighbours
    inner : the core within the wide block
    """

    core: Slices
    wide: Slices
    inner: Slices

    @property
    def voxels(self) -> int:
        """Of the core."""
        return math.prod(part.stop - part.start for part in self.core)

    def seen(self, field: Tensor) -> Tensor:
        """The wide part of (B, C, X, Y, Z), a view."""
        return field[(..., *self.wide)]

    def kept(self, values: Tensor) -> Tensor:
        """The core of values (B, C, x, y, z) on the wide part, a view."""
        return values[(..., *self.inner)]


def is_large(shape: Sequence[int], most: int = WHOLE_VOXELS) -> bool:
    """Whether a grid has more voxels than are worked on at once."""
    return math.prod(shape) > most


def blocks(shape: Sequence[int], reach: int, edge: int = _EDGE) -> Iterator[Block]:
    """Blocks whose cores cover a grid (X, Y, Z) once, of nearly equal edges of at most `edge`.

    Parameters
    ----------
    reach : voxels by which the wide part is larger on each side, as far as the grid goes
    """
    for parts in product(*(_parts(size, edge) for size in shape)):
        wide = tuple(
            slice(max(part.start - reach, 0), min(part.stop + reach, size))
            for part, size in zip(parts, shape, strict=True)
        )
        inner = tuple(
            slice(part.start - around.start, part.stop - around.start)
            for part, around in zip(parts, wide, strict=True)
        )
        yield Block(parts, wide, inner)  # type: ignore[arg-type]


def _parts(size: int, edge: int) -> list[slice]:
    number = max(1, -(-size // edge))
    ends = [size * n // number for n in range(number + 1)]
    return [slice(*pair) for pair in pairwise(ends)]


def sampled(image: Tensor, block: Block, displacement: Tensor, padding: str = "zeros") -> Tensor:
    """`warp` of a whole image (B, C, X, Y, Z) at the wide part of a block, to the bit.

    Parameters
    ----------
    displacement : (B, 3, x, y, z) on the wide part, in voxels of the image's grid
    """
    start = tuple(part.start for part in block.wide)
    return warp(image, displacement, padding=padding, start=start)
