"""Random changes of a batch: mirrored, warped, in another contrast, cut to a cube.

A target follows its images.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pmrpipe.images.volume import Grid
from pmrpipe.methods.batch import Batch
from pmrpipe.methods.deformation import ConsistentPair, Deformation
from pmrpipe.spatial.resize import resize_displacement
from pmrpipe.spatial.warp import warp

# Of a random contrast: pieces of the curve of intensities, and how often it only rises; deviations
# of the logarithm of a bias field and of noise; how often it has thick slices, and how thick.
_PIECES, _RISING = 8, 0.3
_BIAS, _NOISE = 0.2, 0.02
_THICK, _SLICE_VOXELS = 0.3, 1.2
# Cubes that are tried before one is put around a voxel of the brain.
_MOST_TRIES = 100

Cube = tuple[slice, slice, slice]


def mirrored(batch: Batch) -> Batch:
    """Left and right exchanged: the first axis of images and of the target."""
    target = batch.target
    return replace(
        batch,
        moving=batch.moving.flip(2),
        fixed=batch.fixed.flip(2),
        target=_mirrored(target) if isinstance(target, Deformation) else _mirrored_white(target),
        where=None if batch.where is None else batch.where.flip(2),
    )


def _mirrored(deformation: Deformation) -> Deformation:
    return _both(deformation, _turned, deformation.grid)


def _mirrored_white(target: Mapping[str, Tensor] | None) -> Mapping[str, Tensor] | None:
    """K^1/2 m of a momentum turns as a displacement does; other tensors stay."""
    if target is None or "white" not in target:
        return target
    return {**target, "white": _turned(target["white"])}


def _turned(field: Tensor) -> Tensor:
    """u'(x, y, z) = (-u1, u2, u3)(n - 1 - x, y, z)."""
    return field.flip(2) * field.new_tensor([-1, 1, 1]).view(1, 3, 1, 1, 1)


def randomly_warped(image: Tensor, spacing: tuple[float, float, float], mm: float) -> Tensor:
    """The image under a random displacement whose control points lie 40 mm apart or so.

    mm : standard deviation of the displacement at the control points; torch's generator draws it
    """
    points = torch.randn(1, 3, 4, 5, 4, device=image.device)
    deviation = points.new_tensor([mm / edge for edge in spacing])
    coarse = points * deviation.view(1, 3, 1, 1, 1)
    return warp(image, resize_displacement(coarse, image.shape[2:], rescale=False))


def randomly_moved(image: Tensor, deviation: float) -> Tensor:
    """The image under the identity plus N(0, deviation) in all twelve entries of an affine.

    In units of half the image's edge (uniGradICON; Tian et al., MICCAI 2024), the border repeated.
    """
    noise = torch.randn(image.shape[0], 3, 4, device=image.device)
    matrix = torch.eye(3, 4, device=image.device) + deviation * noise
    points = F.affine_grid(matrix, list(image.shape), align_corners=False)
    return F.grid_sample(image, points, padding_mode="border", align_corners=False)


def randomly_contrasted(image: Tensor) -> Tensor:
    """The image (B, 1, X, Y, Z) as another sequence might show it; its background stays 0.

    Intensities go through a random curve, piecewise linear, rising or not; then a bias field, noise
    and, at times, slices that are thick along one axis. After SynthMorph (Hoffmann et al., TMI 41
    (2022)), whose intensities are drawn label by label; here no label is needed. torch's generator
    draws.
    """
    brain = image > 0
    values = torch.rand(_PIECES + 1, device=image.device)
    if float(torch.rand(())) < _RISING:
        values = values.sort().values
    place = (image.clamp(0, 1) * _PIECES).clamp(max=_PIECES - 1e-4)
    low = place.long()
    mapped = torch.lerp(values[low], values[low + 1], place - low)
    bias = torch.randn(1, 1, 3, 3, 3, device=image.device) * _BIAS
    smooth = F.interpolate(bias, image.shape[2:], mode="trilinear", align_corners=True)
    mapped = mapped * smooth.exp() + _NOISE * torch.randn_like(image)
    if float(torch.rand(())) < _THICK:
        mapped = _thick(mapped, int(torch.randint(3, ())))
    return torch.where(brain, mapped.clamp(0.02, 1), torch.zeros_like(image))


def _thick(image: Tensor, axis: int) -> Tensor:
    """Blurred along one axis."""
    steps = torch.arange(-3, 4, device=image.device, dtype=image.dtype)
    weights = torch.exp(-(steps**2) / (2 * _SLICE_VOXELS**2))
    form = [7 if a == axis else 1 for a in range(3)]
    padding = [3 if a == axis else 0 for a in range(3)]
    return F.conv3d(image, (weights / weights.sum()).view(1, 1, *form), padding=padding)


def patch(batch: Batch, edge: int, draw: random.Random) -> Batch:
    """The same random cube of everything in the batch; one of background alone is not taken.

    All cubes with some brain in them, of either image, are equally likely.

    Parameters
    ----------
    edge : of the cube in voxels, at most that of the grid
    """
    brain = ((batch.moving > 0) | (batch.fixed > 0)).any(0)[0]
    cube = _cube(brain, edge, draw)
    grid = _cut_grid(batch.grid, cube)
    target = batch.target
    if isinstance(target, Deformation):
        target = _both(target, lambda field: field[:, :, *cube], grid)
    alike = batch.alike and (batch.alike[0][:, :, *cube], batch.alike[1][:, :, *cube])
    return replace(
        batch,
        moving=batch.moving[:, :, *cube],
        fixed=batch.fixed[:, :, *cube],
        grid=grid,
        target=target,
        where=None if batch.where is None else batch.where[:, :, *cube],
        alike=alike,
    )


def _cube(brain: Tensor, edge: int, draw: random.Random) -> Cube:
    for _ in range(_MOST_TRIES):
        cube = _at([draw.randint(0, n - edge) for n in brain.shape], edge)
        if brain[cube].any():
            return cube
    inside = brain.nonzero()
    if not len(inside):
        return cube
    centre = inside[draw.randrange(len(inside))].tolist()
    sizes = zip(centre, brain.shape, strict=True)
    return _at([min(max(c - edge // 2, 0), n - edge) for c, n in sizes], edge)


def _at(start: list[int], edge: int) -> Cube:
    x, y, z = (slice(first, first + edge) for first in start)
    return x, y, z


def _cut_grid(grid: Grid, cube: Cube) -> Grid:
    affine = grid.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.array([part.start for part in cube], dtype=float)
    x, y, z = (part.stop - part.start for part in cube)
    return Grid((x, y, z), affine)


def _both(deformation: Deformation, change: Callable[[Tensor], Tensor], grid: Grid) -> Deformation:
    """A change of the displacement, and of the inverse that a consistent pair has."""
    own = deformation.parametrisation
    pair = ConsistentPair(change(own.backward)) if isinstance(own, ConsistentPair) else None
    return Deformation(change(deformation.displacement), grid, pair)
