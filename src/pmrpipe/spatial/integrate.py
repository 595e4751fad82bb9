"""Displacement of a stationary velocity field, by scaling and squaring.

Source: Arsigny et al., MICCAI 2006; Dalca et al., MICCAI 2018 (7 squarings).
"""

from __future__ import annotations

from torch import Tensor

from pmrpipe.spatial.warp import warp


def integrate(velocity: Tensor, squarings: int = 7) -> Tensor:
    """exp(v) - id at time 1, (B, 3, X, Y, Z) in voxels; the inverse is integrate(-v)."""
    displacement = velocity / 2**squarings
    for _ in range(squarings):
        displacement = compose(displacement, displacement)
    return displacement


def compose(outer: Tensor, inner: Tensor) -> Tensor:
    """Displacement of (id + outer) after (id + inner): u(p) = inner(p) + outer(p + inner(p)).

    Warping an image by the result equals warping it by `outer`, and the outcome by `inner`.
    """
    return inner + warp(outer, inner, padding="border")


def invert(displacement: Tensor, iterations: int = 30) -> Tensor:
    """Displacement of the inverse of a diffeomorphism by fixed-point iteration: w = -u(id + w).

    Source: Chen et al., Medical Physics 35 (2008). Converges where the Lipschitz constant of u
    is below 1; for larger warps prefer integrate(-v).
    """
    inverse = -displacement
    for _ in range(iterations):
        inverse = -warp(displacement, inverse, padding="border")
    return inverse
