"""What is worked out slab by slab is what the whole volume gives, to the bit."""

import numpy as np
import pytest

from pmrpipe.images.jacobian import determinant, in_voxels, jacobian_determinant
from pmrpipe.images.resampling import resample, resample_through, sample_points
from pmrpipe.images.volume import Grid, Volume

AFFINE = np.array([[-0.5, 0.1, 0, 9], [0.1, 0.5, 0, -7], [0, 0, 0.6, 2], [0, 0, 0, 1.0]])


def field_on(grid: Grid) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 2, (*grid.shape, 3)).astype(np.float32)


@pytest.mark.parametrize("planes", [2, 15, 16, 17, 33, 48])
def test_jacobian(planes):
    grid = Grid((planes, 9, 8), AFFINE)
    field = field_on(grid)
    displacement = in_voxels(field, grid)
    whole = determinant([np.gradient(displacement, axis=axis + 1) for axis in range(3)])
    assert np.array_equal(jacobian_determinant(field, grid), whole)


@pytest.mark.parametrize("interpolation", ["linear", "nearest", "genericLabel", "bspline"])
def test_resampling(interpolation, monkeypatch):
    monkeypatch.setattr("pmrpipe.images.resampling._SLAB_VOXELS", 300)
    grid = Grid((23, 17, 11), AFFINE)
    data = np.random.default_rng(1).integers(0, 5, (20, 21, 22)).astype(np.int32)
    volume = Volume(data, np.diag([0.7, 0.6, 0.9, 1.0]))
    coarse = Grid((9, 8, 7), AFFINE @ np.diag([2.5, 2.2, 1.6, 1]))
    for own in (grid, coarse):
        field = field_on(own), own
        points = sample_points(grid, field=field)
        expected = resample(volume, points, interpolation)
        result = resample_through(volume, grid, field, interpolation)
        assert np.array_equal(result, expected)
        assert result.dtype == expected.dtype
