"""Trilinear look-up that can be differentiated twice, for derivatives inside an objective.

Not every version of torch has the second derivative of grid_sample in three dimensions, and none
the third; here the values come from gathers, whose derivatives torch knows to any order.
"""

from __future__ import annotations

from itertools import product

from torch import Tensor


def look_up(image: Tensor, points: Tensor) -> Tensor:
    """`image` (B, C, X, Y, Z) at `points` (B, 3, N) in its voxels: (B, C, N).

    The values of `sample` with the border repeated. Meant for few points: eight gathers of each.
    """
    size = image.shape[2:]
    last = points.new_tensor([n - 1 for n in size]).view(1, 3, 1)
    inside = points.clamp(min=0).minimum(last)
    low = inside.detach().floor().minimum((last - 1).clamp(min=0))
    beyond = inside - low
    flat, first = image.flatten(2), low.long()
    total = image.new_zeros(())
    for corner in product((0, 1), repeat=3):
        share = points.new_ones(())
        index = first.new_zeros(())
        for axis, step in enumerate(corner):
            along = beyond[:, axis] if step else 1 - beyond[:, axis]
            share = share * along
            place = (first[:, axis] + step).clamp(max=size[axis] - 1)
            index = index * size[axis] + place
        index = index[:, None].expand(-1, flat.shape[1], -1)
        total = total + flat.gather(2, index) * share[:, None]
    return total
