"""What counts as inside a mask: the larger of two values, at least a half, or nothing at all."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.images.volume import read_mask

AFFINE = np.diag([2.0, 2, 2, 1])


def soft_ball(shape=(20, 22, 24)) -> np.ndarray:
    """A probability that falls from 1 at the centre to 0, a half at two thirds of the way."""
    axes = ((np.arange(n) - (n - 1) / 2) / (n / 2) for n in shape)
    radius = np.sqrt(sum(x**2 for x in np.meshgrid(*axes, indexing="ij")))
    return np.clip(2 - 2.25 * radius, 0, 1)


def written(path: Path, data: np.ndarray) -> Path:
    kind = nib.MGHImage if path.suffix == ".mgz" else nib.Nifti1Image
    nib.save(kind(data, AFFINE), path)
    return path


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_probability_is_inside_from_a_half_on(tmp_path, dtype):
    soft = soft_ball().astype(dtype)
    mask = read_mask(written(tmp_path / "m.nii.gz", soft)).data
    np.testing.assert_array_equal(mask, soft >= 0.5)
    # What the mask held when all above 0 counted.
    assert mask.sum() < 0.6 * (soft > 0).sum()


def test_a_probability_stored_as_scaled_integers(tmp_path):
    soft = soft_ball()
    image = nib.Nifti1Image(soft, AFFINE)
    image.header.set_data_dtype(np.uint8)
    image.header.set_slope_inter(1 / 255, 0)
    nib.save(image, tmp_path / "m.nii.gz")
    mask = read_mask(tmp_path / "m.nii.gz").data
    assert (mask != (soft >= 0.5)).sum() <= (np.abs(soft - 0.5) < 1 / 255).sum()


def test_a_mask_that_interpolation_overshot(tmp_path):
    soft = soft_ball() * 1.06 - 0.03
    np.testing.assert_array_equal(read_mask(written(tmp_path / "m.nii", soft)).data, soft >= 0.5)


@pytest.mark.parametrize("value", [1, 2, 255, -0.0 + 100.5])
def test_of_two_values_the_larger_is_inside(tmp_path, value):
    ball = soft_ball() > 0.5
    data = np.where(ball, value, 0).astype(np.float32)
    np.testing.assert_array_equal(read_mask(written(tmp_path / "m.nii.gz", data)).data, ball)


def test_freesurfers_brain_as_a_mask_leaves_out_what_a_person_erased(tmp_path):
    brain = np.where(soft_ball() > 0.5, 90 + 20 * soft_ball(), 0).astype(np.uint8)
    brain[:10][brain[:10] > 0] = 1
    mask = read_mask(written(tmp_path / "brainmask.mgz", brain)).data
    np.testing.assert_array_equal(mask, brain > 1)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.rint(100 * soft_ball()), "0 to 100, neither a mask nor probabilities"),
        (np.rint(3 * soft_ball()), "0 to 3, neither a mask nor probabilities"),
        (soft_ball() - 0.5, "-0.5 to 0.5, neither"),
        (soft_ball() * 0.4, "no voxel reaches a half"),
        (soft_ball() * 0, "empty mask"),
        (-soft_ball(), "empty mask"),
        (np.where(soft_ball() > 0.5, np.inf, 0), "infinite"),
    ],
)
def test_what_is_neither_mask_nor_probability_is_refused(tmp_path, data, words):
    path = written(tmp_path / "m.nii.gz", data.astype(np.float32))
    with pytest.raises(InputError, match=words) as caught:
        read_mask(path)
    assert "m.nii.gz" in str(caught.value)
    assert "\n" not in str(caught.value)
