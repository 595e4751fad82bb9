"""The half-way space of two scans of one person: rigid, and no side favoured.

R takes points of the first scan to points of the second. Its square root S puts both scans into
one space in the middle: h = S n1, n2 = S h. A common affine B brings the template there, the mean
of what both scans say, so that both are seen on the template grid through S^-1 B and S B: the same
size, the same interpolation. Exchanging the scans exchanges R and its inverse and leaves B alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import expm, logm, polar
from scipy.ndimage import gaussian_filter

from pmrpipe.images.resampling import resample, sample_points
from pmrpipe.images.volume import Grid, Volume

# Levels of the rigid registration, mm, and steps on each at most.
_LEVELS, _STEPS = (6.0, 3.0), 20
# A step that moves less than this, mm and milliradians, is the last one of a level.
_SMALL = 1e-3
# Differences beyond so many robust deviations are no differences of pose.
_ROBUST = 3.0
# Reach of the smooth factor between both scans' intensities, mm.
_BIAS_MM = 12.0
# A Gaussian flattens what it smooths: what it left is smoothed again, so often in all.
_PASSES = 3
# Of the median of the brain: what is darker says nothing of it.
_DARK = 0.2


@dataclass(frozen=True)
class Halfway:
    """Affines (4, 4), RAS mm, from points of the template to points of the first and second scan.

    rigid : from points of the first scan to points of the second
    """

    first: np.ndarray
    second: np.ndarray
    rigid: np.ndarray


def halfway(rigid: np.ndarray, affines: tuple[np.ndarray, np.ndarray]) -> Halfway:
    """The half-way space of a rigid transform; `affines` take the template to each scan."""
    root = _root(rigid)
    back = np.linalg.inv(root)
    common = (root @ affines[0] + back @ affines[1]) / 2
    return Halfway(back @ common, root @ common, rigid)


def first_guess(affines: tuple[np.ndarray, np.ndarray], centre: np.ndarray) -> np.ndarray:
    """The rigid transform nearest to what both affines to the template say of the pose.

    Parameters
    ----------
    centre : (3,) the middle of the template brain, RAS mm
    """
    turn, _ = polar(affines[1][:3, :3] @ np.linalg.inv(affines[0][:3, :3]))
    back, _ = polar(affines[0][:3, :3] @ np.linalg.inv(affines[1][:3, :3]))
    # Of both directions alike: the polar factor of an inverse is not the inverse of the factor.
    turn, _ = polar(turn + back.T)
    here, there = (affine[:3, :3] @ centre + affine[:3, 3] for affine in affines)
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = turn, there - turn @ here
    return out


def align(
    scans: tuple[Volume, Volume],
    affines: tuple[np.ndarray, np.ndarray],
    mask: np.ndarray,
    grid: Grid,
) -> Halfway:
    """Rigid registration by least squares of intensities, symmetric, coarse to fine.

    Both scans are sampled in the half-way space; a smooth factor between their intensities is
    taken out, half of it from each, and differences that are no matter of pose weigh little
    (Tukey's biweight; Reuter et al., NeuroImage 53, 2010, for the idea of both).

    Parameters
    ----------
    scans : as they came
    affines : from points of the template to points of each scan
    mask : (X, Y, Z) brain on the template `grid`
    """
    inside = Volume(mask.astype(np.float32), grid.affine)
    centre = grid.affine[:3, :3] @ np.argwhere(mask).mean(0) + grid.affine[:3, 3]
    pose = halfway(first_guess(affines, centre), affines)
    for mm in _LEVELS:
        coarse = grid.rescaled(max(mm, *grid.spacing))
        brain = resample(inside, sample_points(coarse)) > 0.5
        smooth = tuple(blurred(scan, coarse.spacing[0]) for scan in scans)
        for _ in range(_STEPS):
            step = _step(smooth, pose, brain, coarse)
            root = _root(pose.rigid)
            pose = halfway(root @ expm(_twist(step)) @ root, affines)
            if np.abs(step[3:]).max() < _SMALL and np.abs(step[:3]).max() < _SMALL / 100:
                break
    return pose


def _step(scans: tuple[Volume, ...], pose: Halfway, brain: np.ndarray, grid: Grid) -> np.ndarray:
    """Gauss-Newton's step (6,): turn in radians and shift in mm, in the half-way world."""
    first, second = (
        resample(scan, sample_points(grid, affine))
        for scan, affine in zip(scans, (pose.first, pose.second), strict=True)
    )
    first, second = evened(first, second, brain, grid)
    common = _root(pose.rigid) @ pose.first
    slope = np.stack(np.gradient((first + second) / 2, *grid.spacing), -1)[brain]
    # Of the template's world to the half-way world, whose points the steps move.
    slope = slope @ np.linalg.inv(common[:3, :3] @ (grid.affine[:3, :3] / grid.spacing))
    points = np.argwhere(brain) @ (common @ grid.affine)[:3, :3].T
    points = points + (common @ grid.affine)[:3, 3]
    columns = np.concatenate([np.cross(points, slope), slope], 1)
    error = (second - first)[brain]
    weight = _weights(error - np.median(error))
    system = np.einsum("vi,v,vj->ij", columns, weight, columns)
    return -np.linalg.solve(system, np.einsum("vi,v,v->i", columns, weight, error))


def evened(
    first: np.ndarray, second: np.ndarray, brain: np.ndarray, grid: Grid
) -> tuple[np.ndarray, np.ndarray]:
    """Both images with the smooth factor between them taken out, half of it from each.

    The factor is the exponential of the smoothed difference of logarithms inside the brain
    (Lewis and Fox, NeuroImage 23, 2004); outside the brain both are 0. The scale is that of
    their common geometric mean, 1.
    """
    levels = [float(np.median(image[brain])) for image in (first, second)]
    # Where a scan is dark, the difference is none of the coils.
    both = brain & (first > _DARK * levels[0]) & (second > _DARK * levels[1])
    logs = [
        np.log(np.maximum(image, _DARK * level))
        for image, level in zip((first, second), levels, strict=True)
    ]
    sigma = [_BIAS_MM / mm for mm in grid.spacing]
    share = gaussian_filter(both.astype(np.float64), sigma)
    half = np.zeros_like(share)
    for _ in range(_PASSES):
        left = np.where(both, logs[1] - logs[0] - 2 * half, 0)
        half += gaussian_filter(left, sigma) / np.maximum(share, 1e-4) / 2
    level = np.exp(np.median((logs[0] + logs[1])[brain]) / 2)
    out = (first * np.exp(half) / level, second * np.exp(-half) / level)
    return np.where(brain, out[0], 0), np.where(brain, out[1], 0)


def _weights(error: np.ndarray) -> np.ndarray:
    limit = _ROBUST * 1.4826 * float(np.median(np.abs(error))) + 1e-12
    return np.where(np.abs(error) < limit, (1 - (error / limit) ** 2) ** 2, 0)


def blurred(scan: Volume, mm: float) -> Volume:
    """Under a Gaussian against aliasing on voxels of `mm`."""
    sigma = [0.42 * mm / own if mm > own else 0 for own in scan.spacing]
    return Volume(gaussian_filter(np.asarray(scan.data, np.float32), sigma), scan.affine)


def _root(rigid: np.ndarray) -> np.ndarray:
    """The rigid transform that, twice, is the given one."""
    return np.real(expm(logm(rigid) / 2))


def _twist(step: np.ndarray) -> np.ndarray:
    x, y, z = step[:3]
    out = np.zeros((4, 4))
    out[:3, :3] = [[0, -z, y], [z, 0, -x], [-y, x, 0]]
    out[:3, 3] = step[3:]
    return out
