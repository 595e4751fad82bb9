"""A subject's shape: a random diffeomorphism and a random affine, both known exactly.

The map goes from template to subject, y = A(phi(x)), as a registration's pull-back does; phi is
the exponential of a stationary velocity (Arsigny et al., MICCAI 2006) and its inverse the
exponential of the negative one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from pmrpipe.images.volume import Grid, Volume
from pmrpipe.stages.cohort.embedded.anatomy import Anatomy, head_grid, sample, world_points

VELOCITY_MM = 5.0
# Standard deviation of the Gaussian (mm) and share of the displacement: coarse scales dominate.
_SCALES = ((24.0, 1.0), (14.0, 0.55), (8.0, 0.18))
_SDLOGJ = (0.158, 0.178)
_SQUARINGS = 6
# Fixed-point steps that take the error of two sampled exponentials from 0.07 to 0.002 mm.
_CORRECTIONS = 2
_CENTRE_MM = np.array([0.0, -18.0, 0.0])


@dataclass(frozen=True)
class Deformation:
    """Template to subject: `forward` and `inverse` displacements (3, X, Y, Z) in mm on `grid`.

    `matrix` (4, 4) maps deformed template points to the subject's scanner space, RAS mm.
    """

    grid: Grid
    forward: np.ndarray
    inverse: np.ndarray
    matrix: np.ndarray

    def to_subject(self, points: np.ndarray) -> np.ndarray:
        """Template points (3, ...) to subject points, RAS mm: y = A(x + forward(x))."""
        return transform_points(self.matrix, points + self._at(self.forward, points))

    def to_template(self, points: np.ndarray) -> np.ndarray:
        """Subject points (3, ...) to template points, RAS mm: the inverse of `to_subject`."""
        inner = transform_points(np.linalg.inv(self.matrix), points)
        outer = inner + self._at(self.inverse, inner)
        for _ in range(_CORRECTIONS):
            outer += inner - outer - self._at(self.forward, outer)
        return outer

    def _at(self, field: np.ndarray, points: np.ndarray) -> np.ndarray:
        return np.stack([sample(Volume(c, self.grid.affine), points) for c in field])


def transform_points(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply a 4x4 affine to points (3, ...), float32; written out so that no BLAS is involved."""
    rows = matrix.astype(np.float32)
    return np.stack(
        [r[0] * points[0] + r[1] * points[1] + r[2] * points[2] + r[3] for r in rows[:3]]
    )


def random_deformation(rng: np.random.Generator, anatomy: Anatomy) -> Deformation:
    """Draw a deformation whose SDlogJ inside the brain is near 0.17."""
    grid = head_grid(VELOCITY_MM)
    brain = sample(anatomy.brain, world_points(grid)) < 0
    velocity = _velocity(rng, grid, brain, target=rng.uniform(*_SDLOGJ))
    forward, inverse = exponential(velocity), exponential(-velocity)
    mm = np.float32(VELOCITY_MM)
    return Deformation(grid, forward * mm, inverse * mm, _random_affine(rng))


def _velocity(rng: np.random.Generator, grid: Grid, brain: np.ndarray, target: float) -> np.ndarray:
    """Random velocity (3, X, Y, Z) in voxels whose divergence has SD `target` in the brain."""
    velocity = np.zeros((3, *grid.shape), np.float32)
    for sigma, share in _SCALES:
        for component in velocity:
            noise = rng.standard_normal(grid.shape, dtype=np.float32)
            smooth = gaussian_filter(noise, sigma / VELOCITY_MM, truncate=3)
            component += np.float32(share) * smooth / smooth[brain].std()
    velocity -= velocity[:, brain].mean(axis=1)[:, None, None, None]
    divergence = sum(np.gradient(velocity[axis], axis=axis) for axis in range(3))
    return velocity * np.float32(target / divergence[brain].std())


def exponential(velocity: np.ndarray, squarings: int = _SQUARINGS) -> np.ndarray:
    """Displacement (3, X, Y, Z) of the flow of `velocity` at time 1, both in voxels."""
    identity = np.indices(velocity.shape[1:], dtype=np.float32)
    field = velocity / np.float32(2**squarings)
    for _ in range(squarings):
        at = identity + field
        field = field + np.stack(
            [map_coordinates(c, at, order=1, mode="nearest", output=np.float32) for c in field]
        )
    return field


def jacobian_determinant(displacement: np.ndarray) -> np.ndarray:
    """det D(id + u) by central differences; `displacement` (3, X, Y, Z) in voxels."""
    rows = np.stack(
        [np.stack(np.gradient(component), axis=-1) for component in displacement], axis=-2
    )
    return np.linalg.det(rows.astype(np.float64) + np.eye(3))


def _random_affine(rng: np.random.Generator) -> np.ndarray:
    """Rotation up to 15 degrees per axis, scale 8 %, shear 4 %, shift 12 mm, about the brain."""
    angles = np.deg2rad(rng.uniform(-15, 15, 3))
    linear = rotation(angles) @ np.diag(1 + rng.uniform(-0.08, 0.08, 3))
    shear = np.eye(3)
    shear[np.triu_indices(3, 1)] = rng.uniform(-0.04, 0.04, 3)
    matrix = np.eye(4)
    matrix[:3, :3] = linear @ shear
    matrix[:3, 3] = _CENTRE_MM - matrix[:3, :3] @ _CENTRE_MM + rng.uniform(-12, 12, 3)
    return matrix


def rotation(angles: np.ndarray) -> np.ndarray:
    """Rotation matrix (3, 3) of `angles` (3,) in radians about x, then y, then z."""
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        one, two = [a for a in range(3) if a != axis]
        turn = np.eye(3)
        turn[one, one] = turn[two, two] = np.cos(angle)
        turn[two, one] = np.sin(angle)
        turn[one, two] = -np.sin(angle)
        matrix = turn @ matrix
    return matrix
