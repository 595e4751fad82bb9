"""Displacement of a stationary velocity field, by scaling and squaring.

Source: Arsigny et al., MICCAI 2006; Dalca et al., MICCAI 2018 (7 squarings).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from pmrpipe.spatial.blocks import blocks, is_large, sampled
from pmrpipe.spatial.resize import resize_displacement
from pmrpipe.spatial.warp import warp

# Grids with a shorter edge are inverted without a coarser one.
_LEAST_EDGE = 64


class Integrator(Protocol):
    """From a velocity to a displacement, (B, 3, X, Y, Z) in voxels both."""

    def __call__(self, velocity: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class ScalingAndSquaring:
    """`integrate` as a part of a method.

    squarings : the flow's first step has the length 2^-squarings
    midpoint : that step by the midpoint rule
    """

    squarings: int = 7
    midpoint: bool = False

    def __call__(self, velocity: Tensor) -> Tensor:
        return integrate(velocity, self.squarings, self.midpoint)


def integrate(velocity: Tensor, squarings: int = 7, midpoint: bool = False) -> Tensor:
    """exp(v) - id at time 1, (B, 3, X, Y, Z) in voxels; the inverse is integrate(-v).

    The first step, of length 2^-squarings, is Euler's, or with `midpoint` the midpoint rule's:
    one warp more, and an error that falls by four with each squaring in place of two.
    """
    displacement = velocity / 2**squarings
    if midpoint:
        displacement = warp(displacement, displacement / 2, padding="border")
    for _ in range(squarings):
        displacement = compose(displacement, displacement)
    return displacement


def compose(outer: Tensor, inner: Tensor) -> Tensor:
    """Displacement of (id + outer) after (id + inner): u(p) = inner(p) + outer(p + inner(p)).

    Warping an image by the result equals warping it by `outer`, and the outcome by `inner`.
    """
    return inner + warp(outer, inner, padding="border")


def root(displacement: Tensor, iterations: int = 10) -> Tensor:
    """Displacement h whose map taken twice is that of `displacement`, (B, 3, X, Y, Z) in voxels.

    Half of what h ∘ h misses is added to h; it converges where the gradient of h stays below 2.
    """
    half = displacement / 2
    for _ in range(iterations):
        half = half + (displacement - compose(half, half)) / 2
    return half


def invert(displacement: Tensor, iterations: int = 30) -> Tensor:
    """Displacement w of the inverse of a diffeomorphism: w = -u(id + w), by fixed-point iteration.

    Source: Chen et al., Medical Physics 35 (2008), here damped by a half. Without damping it
    converges only where u is a contraction; a large warp need only be monotone and stretch by
    less than four (the eigenvalues of I + grad u between 0 and 4). For the exponential of a
    velocity prefer integrate(-v).

    A large grid begins with the inverse at half its resolution and takes a third of the
    iterations: 0.4 of the time, and the rest of a round trip is interpolation's in both cases.
    """
    shape = displacement.shape[2:]
    if min(shape) < _LEAST_EDGE:
        return _iterated(displacement, -displacement / 2, iterations)
    half = [n // 2 for n in shape]
    coarse = invert(resize_displacement(displacement, half), iterations)
    start = resize_displacement(coarse, list(shape))
    return _iterated(displacement, start, -(-iterations // 3))


def _iterated(displacement: Tensor, inverse: Tensor, iterations: int) -> Tensor:
    shape = displacement.shape[2:]
    if is_large(shape):
        return _iterated_in_blocks(displacement, inverse, iterations)
    for _ in range(iterations):
        inverse = (inverse - warp(displacement, inverse, padding="border")) / 2
    return inverse


def _iterated_in_blocks(displacement: Tensor, inverse: Tensor, iterations: int) -> Tensor:
    """Every voxel is iterated alone: blocks need no neighbours."""
    out = torch.empty_like(inverse)
    for block in blocks(displacement.shape[2:], reach=0):
        field = block.seen(inverse)
        for _ in range(iterations):
            field = (field - sampled(displacement, block, field, "border")) / 2
        out[(..., *block.core)] = field
    return out
