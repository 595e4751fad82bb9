"""Two scans of one simulated person: moved, with noise and bias, and with growth that is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import expm
from scipy.ndimage import gaussian_filter

from pmrpipe.images.resampling import resample, sample_points
from pmrpipe.images.volume import Grid, Volume
from pmrpipe.study.space import template_brain

CENTRE = np.array([2.0, -18.0, 8.0])


@dataclass(frozen=True)
class Growth:
    """x to x + a (x - c) exp(-|x - c|^2 / 2 s^2): a ball around c grows by a known factor.

    percent : by which the ball of `radius` mm grows
    reach : s, mm
    """

    percent: float
    radius: float = 22.0
    reach: float = 24.0

    @property
    def factor(self) -> float:
        """a."""
        stretch = (1 + self.percent / 100) ** (1 / 3) - 1
        return stretch / np.exp(-(self.radius**2) / (2 * self.reach**2))

    def back(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) of the grown brain to those of the first: the radius inverted."""
        radii = np.linspace(0, 300, 30001)
        grown = radii * (1 + self.factor * np.exp(-(radii**2) / (2 * self.reach**2)))
        away = points - CENTRE
        length = np.linalg.norm(away, axis=-1)
        shrunk = np.interp(length, grown, radii)
        return CENTRE + away * (shrunk / np.maximum(length, 1e-9))[..., None]


def ball(grid: Grid, radius: float = Growth.radius) -> np.ndarray:
    """(X, Y, Z) int16: 1 in the ball around CENTRE."""
    points = sample_points(grid)
    return (np.linalg.norm(points - CENTRE, axis=-1) <= radius).astype(np.int16)


def pose(degrees: float, millimetres: float, seed: int) -> np.ndarray:
    """A rigid transform (4, 4) about a random axis."""
    draw = np.random.default_rng(seed)
    axis, shift = (v / np.linalg.norm(v) for v in draw.normal(size=(2, 3)))
    x, y, z = axis * np.radians(degrees)
    out = np.eye(4)
    out[:3, :3] = expm(np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]))
    out[:3, 3] = shift * millimetres
    return out


def rescan(
    mm: float,
    move: np.ndarray | None = None,
    growth: Growth | None = None,
    noise: float = 0.0,
    bias: float = 0.0,
    seed: int = 0,
) -> tuple[Volume, np.ndarray, np.ndarray]:
    """A scan of the template brain on a grid of its own.

    Parameters
    ----------
    move : (4, 4), RAS mm, points of the template to points of the scan
    noise : deviation, as a share of the brightest tissue
    bias : the intensities are multiplied by a smooth factor from 1 - bias to 1 + bias

    Returns
    -------
    the scan, `move`, and its brain mask on the template grid
    """
    brain, move = template_brain(min(mm, 2.0)), np.eye(4) if move is None else move
    grid, draw = template_brain(mm).grid, np.random.default_rng(seed)
    data = np.where(brain.data > 0.3, brain.data, 0)
    source = Volume(data.astype(np.float32), brain.affine)

    def of(volume: Volume, affine: np.ndarray | None) -> np.ndarray:
        points = sample_points(grid, affine)
        points = points if growth is None else growth.back(points)
        return resample(volume, points, "bspline")

    smooth = Volume(gaussian_filter(source.data, 0.42 * mm / brain.spacing[0]), brain.affine)
    image = of(smooth, np.linalg.inv(move))
    field = gaussian_filter(draw.normal(size=grid.shape), 30 / mm)
    image *= 1 + bias * field / np.abs(field).max()
    image += noise * draw.normal(size=grid.shape) * (image > 0.15)
    image = np.where(image > 0.15, np.maximum(image, 0.02), 0)
    return Volume(image.astype(np.float32) * 100, grid.affine), move, of(smooth, None) > 0.15
