"""The scan of a simulated head: voxel grid, sampling, bias field and noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmrpipe.images.volume import Grid
from pmrpipe.stages.cohort.embedded.anatomy import Anatomy, sample, template_labels, world_points
from pmrpipe.stages.cohort.embedded.deformation import Deformation, rotation
from pmrpipe.stages.cohort.embedded.tissue import Look, signal_at, texture

ORIENTATIONS = ("RAS", "LAS", "LPS", "PIR", "RSA", "ASL", "RPI", "LIA")
_THICKEST_MM = 5.0
_MARGIN_MM = 10.0
_BOTTOM_MM = -98.0
_STRIDE = 4


@dataclass(frozen=True)
class Scan:
    """One simulated acquisition on its native `grid`: T1w int16, labels int16, brain mask bool."""

    grid: Grid
    t1w: np.ndarray
    labels: np.ndarray
    mask: np.ndarray


def random_grid(
    rng: np.random.Generator,
    index: int,
    mm: float,
    anatomy: Anatomy,
    shape: Deformation,
    slice_mm: float | None = None,
) -> Grid:
    """A scanner grid around the subject's head: voxel size, axis codes and tilt by `index`.

    `slice_mm` is the size of the voxels along the third axis, where it is another.
    """
    sizes = np.full(3, rng.uniform(0.9, 1.25))
    if index % 3 == 2:
        sizes[:] = rng.uniform(0.9, 1.05)
        sizes[rng.integers(3)] = rng.uniform(1.2, 1.4)
    sizes = np.minimum(np.round(sizes * mm, 3), max(_THICKEST_MM, mm))
    if slice_mm is not None:
        sizes[2] = max(slice_mm, mm)
    tilt = np.deg2rad(rng.uniform(4, 14, 3) * rng.choice([-1, 1], 3))
    axes = _axes(ORIENTATIONS[(index - 1) % len(ORIENTATIONS)])
    if index % 2 == 0:
        axes = rotation(tilt) @ axes
    return _enclosing_grid(_head_points(anatomy, shape), axes, sizes)


def _axes(code: str) -> np.ndarray:
    """Columns are the directions (RAS) of the array axes, e.g. L -> (-1, 0, 0)."""
    columns = {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}
    axes = np.zeros((3, 3))
    for axis, letter in enumerate(code):
        axes[columns[letter], axis] = 1 if letter in "RAS" else -1
    return axes


def _head_points(anatomy: Anatomy, shape: Deformation) -> np.ndarray:
    points = world_points(anatomy.head.grid)[:, ::2, ::2, ::2]
    keep = (anatomy.head.data[::2, ::2, ::2] < 0) & (points[2] > _BOTTOM_MM)
    return shape.to_subject(points[:, keep])


def _enclosing_grid(points: np.ndarray, axes: np.ndarray, sizes: np.ndarray) -> Grid:
    along = (axes.T[:, :, None] * points[None]).sum(axis=1)
    low, high = along.min(axis=1) - _MARGIN_MM, along.max(axis=1) + _MARGIN_MM
    affine = np.eye(4)
    affine[:3, :3] = axes * sizes
    affine[:3, 3] = axes @ low
    # NIfTI stores single precision: use the very numbers that a reader will see.
    shape = tuple(int(n) for n in np.ceil((high - low) / sizes))
    return Grid(shape, affine.astype(np.float32).astype(np.float64))  # type: ignore[arg-type]


def acquire(
    rng: np.random.Generator, anatomy: Anatomy, shape: Deformation, grid: Grid, look: Look
) -> Scan:
    """Scan the deformed anatomy on `grid`; every voxel is sampled once from template space.

    What is smooth (the map, the skin, texture, bias) is evaluated at every fourth voxel. The rest
    runs over slabs of four slices, which keeps its arrays small enough for the cache.
    """
    coarse = _smooth_parts(rng, anatomy, shape, grid, look)
    # Fortran order is the order of the file.
    t1w, labels = (np.zeros(grid.shape, np.int16, order="F") for _ in range(2))
    mask = np.zeros(grid.shape, bool, order="F")
    for start in range(0, grid.shape[2], _STRIDE):
        slab = slice(start, min(start + _STRIDE, grid.shape[2]))
        cell = coarse[..., start // _STRIDE : start // _STRIDE + 2]
        fine = _upsample(cell, (*grid.shape[:2], slab.stop - slab.start))
        signal, labels[..., slab], mask[..., slab] = _slab(anatomy, look, fine)
        t1w[..., slab] = _noisy(rng, signal, look)
    return Scan(grid, t1w, labels, mask)


def _smooth_parts(
    rng: np.random.Generator, anatomy: Anatomy, shape: Deformation, grid: Grid, look: Look
) -> np.ndarray:
    """Distance to the skin, texture, bias and template points (6, x, y, z) on the lattice."""
    lattice = _lattice(grid)
    points = shape.to_template(_lattice_points(grid, lattice))
    grain = sample(texture(rng, anatomy), points)
    bias = _bias(rng, lattice, look.bias)
    return np.concatenate([np.stack([sample(anatomy.head, points), grain, bias]), points])


def _slab(
    anatomy: Anatomy, look: Look, fine: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Noise-free signal, labels and brain mask of a slab, from `_smooth_parts` at its voxels."""
    near = fine[0] < 1.0
    head, grain, bias = (part[near] for part in fine[:3])
    points = fine[3:, near]
    brain = sample(anatomy.brain, points)
    shape = fine.shape[1:]
    signal = np.zeros(shape, np.float32)
    labels, mask = np.zeros(shape, np.int16), np.zeros(shape, bool)
    labels[near] = _labels_at(points, brain)
    mask[near] = (brain < 0) | (labels[near] > 0)
    signal[near] = signal_at(anatomy, look, points, brain, head, grain) * bias
    return signal, labels, mask


def _labels_at(points: np.ndarray, brain: np.ndarray) -> np.ndarray:
    labels = template_labels()
    close = brain < 4
    values = np.zeros(points.shape[1], np.int16)
    values[close] = sample(labels, points[:, close], order=0)
    return values


def _bias(rng: np.random.Generator, lattice: list[np.ndarray], size: float) -> np.ndarray:
    """Smooth multiplicative field around 1: exponential of a random quadratic, log-SD `size`."""
    unit = [2 * axis / axis[-1] - 1 for axis in lattice]
    x, y, z = np.meshgrid(*unit, indexing="ij")
    terms = (x, y, z, x * y, y * z, x * z, x * x - 1 / 3, y * y - 1 / 3, z * z - 1 / 3)
    log = sum(rng.standard_normal() * term for term in terms)
    log = (log - log.mean()) * (size / log.std())
    return np.exp(log).astype(np.float32)


def _noisy(rng: np.random.Generator, signal: np.ndarray, look: Look) -> np.ndarray:
    """Rician magnitude (Gudbjartsson & Patz 1995) of `signal`, scaled to int16."""
    level = np.float32(look.noise)
    real = signal + level * rng.standard_normal(signal.shape, dtype=np.float32)
    imaginary = level * rng.standard_normal(signal.shape, dtype=np.float32)
    magnitude = np.sqrt(real * real + imaginary * imaginary)
    return np.rint(np.float32(look.scale) * magnitude).astype(np.int16)


def _lattice(grid: Grid) -> list[np.ndarray]:
    """Every fourth voxel index along each axis, reaching past the last one."""
    return [np.arange(0, n + _STRIDE, _STRIDE, dtype=np.float64) for n in grid.shape]


def _lattice_points(grid: Grid, lattice: list[np.ndarray]) -> np.ndarray:
    index = np.stack(np.meshgrid(*lattice, indexing="ij"))
    rows = grid.affine[:3]
    points = [r[0] * index[0] + r[1] * index[1] + r[2] * index[2] + r[3] for r in rows]
    return np.stack(points).astype(np.float32)


def _upsample(values: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Linear interpolation of lattice values (C, x, y, z) to all voxels (C, *shape)."""
    weight = (np.arange(_STRIDE) / _STRIDE).astype(np.float32)
    for axis in (1, 2, 3):
        values = np.moveaxis(values, axis, -1)
        start = values[..., :-1, None]
        fine = start + (values[..., 1:, None] - start) * weight
        fine = fine.reshape(*values.shape[:-1], -1)[..., : shape[axis - 1]]
        values = np.moveaxis(fine, -1, axis)
    return values
