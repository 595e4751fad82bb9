"""Isotropic voxels: the world stays where it is, nothing aliases, nothing is blurred in vain."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from pmrpipe.images.volume import Volume
from pmrpipe.stages.preprocess.pose_search import centre_of_mass
from pmrpipe.stages.preprocess.resample import antialiased, covering_grid, to_isotropic


def test_covers_the_brain_with_a_margin(subject):
    resampled = to_isotropic(subject.brain, 3.0)
    assert resampled.spacing == pytest.approx((3, 3, 3))
    assert nib.aff2axcodes(resampled.affine) == ("R", "A", "S")
    for axis in range(3):
        faces = np.take(resampled.data, [0, -1], axis=axis)
        assert not faces.any()
    brain = np.argwhere(resampled.data > 0)
    assert np.all(brain.min(0) <= 5)
    np.testing.assert_allclose(centre_of_mass(resampled), centre_of_mass(subject.brain), atol=0.1)
    volume = [v.data.sum() * np.prod(v.spacing) for v in (resampled, subject.brain)]
    assert volume[0] == pytest.approx(volume[1], rel=2e-3)


def test_isotropic_axis_aligned_voxels_are_kept():
    data = np.zeros((9, 9, 9), np.float32)
    data[3:6, 3:6, 3:6] = np.random.default_rng(0).random((3, 3, 3))
    affine = np.diag([-1.0, 1, 1, 1])
    affine[:3, 3] = [20.3, -11.7, 5.2]
    resampled = to_isotropic(Volume(data, affine), 1.0)
    values = np.sort(resampled.data[resampled.data > 1e-5])
    np.testing.assert_allclose(values, np.sort(data[data > 0]), atol=1e-5)


def test_fine_voxels_do_not_alias():
    stripes = np.indices((40, 40, 40))[0] % 2 * 1.0
    resampled = to_isotropic(Volume(stripes.astype(np.float32), np.diag([0.5, 0.5, 0.5, 1])), 1.0)
    inner = resampled.data[8:-8, 8:-8, 8:-8]
    assert np.abs(inner - 0.5).max() < 0.1  # without the blur: 0 or 1 everywhere


def test_no_blur_where_voxels_shrink():
    volume = Volume(np.random.default_rng(0).random((5, 6, 7)).astype(np.float32), np.eye(4))
    assert antialiased(volume, 1.0) is volume
    assert antialiased(volume, 0.7) is volume
    assert np.ptp(antialiased(volume, 2.0).data) < np.ptp(volume.data)


def test_one_voxel():
    data = np.zeros((3, 3, 3), np.float32)
    data[1, 1, 1] = 1
    grid = covering_grid(Volume(data, np.eye(4)), 2.0)
    index = np.linalg.inv(grid.affine) @ [1, 1, 1, 1]
    assert np.all(index[:3] >= 2)
    assert np.all(index[:3] <= np.asarray(grid.shape) - 3)
