"""What would be measured if nothing had changed: the scans' own noise, registered again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import gaussian_filter

from pmrpipe.images.resampling import resample, sample_points
from pmrpipe.images.volume import Grid, Volume
from pmrpipe.stages.change.symmetric import Flow, register_symmetric

# Interpolation makes the noise of neighbouring voxels alike: a Gaussian of so many voxels.
_ALIKE = 0.5
# Reach of the noise map's local mean, mm.
_LOCAL_MM = 6.0


def unchanged_pairs(
    first: np.ndarray, second: np.ndarray, flow: Flow, count: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of images without change and with the noise of these two, (X, Y, Z) in [0, 1].

    The brain is the mean of both scans where the flow brings them together; the noise's deviation
    is a robust one of their difference there.
    """
    grid, draw = flow.full, np.random.default_rng(seed)
    aligned = [
        resample(Volume(image, grid.affine), sample_points(grid, field=flow.field(time)))
        for image, time in ((first, -0.5), (second, 0.5))
    ]
    brain = (aligned[0] > 0) & (aligned[1] > 0)
    mean = np.where(brain, (aligned[0] + aligned[1]) / 2, 0)
    difference = (aligned[0] - aligned[1])[brain]
    deviation = 1.4826 * float(np.median(np.abs(difference - np.median(difference)))) / np.sqrt(2)
    for _ in range(count):
        yield tuple(  # type: ignore[misc]
            np.where(brain, np.clip(mean + deviation * _noise(draw, grid), 1e-3, 1), 0).astype(
                np.float32
            )
            for _ in range(2)
        )


def null_flows(
    first: np.ndarray,
    second: np.ndarray,
    flow: Flow,
    count: int,
    seed: int,
    steps: int,
    finest_mm: float,
) -> list[Flow]:
    """What the registration says of `count` pairs without change."""
    pairs = unchanged_pairs(first, second, flow, count, seed)
    return [register_symmetric(*pair, flow.full, steps, finest_mm) for pair in pairs]


def noise_map(flows: list[Flow]) -> np.ndarray | None:
    """Deviation (X, Y, Z) of the log-Jacobian without change, over its surroundings of 6 mm."""
    if not flows:
        return None
    square = np.mean([flow.log_jacobian**2 for flow in flows], axis=0)
    sigma = [_LOCAL_MM / mm for mm in flows[0].full.spacing]
    return np.sqrt(gaussian_filter(square, sigma)).astype(np.float32)


def _noise(draw: np.random.Generator, grid: Grid) -> np.ndarray:
    """Of deviation 1."""
    noise = gaussian_filter(draw.standard_normal(grid.shape), _ALIKE)
    return noise / noise.std()
