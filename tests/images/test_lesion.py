"""Lesion masks: what is refused in one line, and what the steps of preprocessing do with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.images.lesion import filled, lesion_share, read_lesion, require_in_brain
from pmrpipe.images.volume import Grid, Volume, read_mask, write_volume
from pmrpipe.stages.preprocess import brain
from pmrpipe.stages.preprocess.whiten import whitened
from pmrpipe.study.options.preprocessing import Extraction

AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])


def ball(centre: tuple[int, int, int], radius: float, size: int = 40) -> np.ndarray:
    axes = np.indices((size,) * 3) - np.array(centre)[:, None, None, None]
    return (axes**2).sum(0) <= radius**2


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A brain of 100 with a lesion of 900, its mask without the lesion, and the lesion."""
    inside, lesion = ball((20, 20, 20), 15), ball((28, 20, 20), 5)
    write_volume(tmp_path / "t1w.nii.gz", np.where(lesion, 900, 100 * inside), AFFINE)
    write_volume(tmp_path / "mask.nii.gz", (inside & ~lesion).astype(np.uint8), AFFINE)
    write_volume(tmp_path / "lesion.nii.gz", lesion.astype(np.uint8), AFFINE)
    return tmp_path


def extract(folder: Path, lesion: str) -> None:
    options = Extraction(method="mask", mask=folder / "mask.nii.gz", lesion=folder / lesion)
    brain.run(folder / "t1w.nii.gz", folder / "out.nii.gz", folder / "brain.nii.gz", options)


def test_the_lesion_belongs_to_the_brain(scan: Path) -> None:
    extract(scan, "lesion.nii.gz")
    assert read_mask(scan / "out.nii.gz").data[ball((28, 20, 20), 5)].all()


@pytest.mark.parametrize(
    ("data", "affine", "said"),
    [
        (np.zeros((40, 40, 40)), AFFINE, "is an empty mask"),
        (np.ones((20, 20, 20)), np.diag([8.0, 8, 8, 1]), "grid|shape|20x20x20"),
        (ball((3, 3, 3), 2), AFFINE, "lies outside the brain"),
        (ball((20, 20, 20), 15), AFFINE, "covers 100% of the brain"),
    ],
)
def test_a_mask_that_cannot_be_is_refused(
    scan: Path, data: np.ndarray, affine: np.ndarray, said: str
) -> None:
    write_volume(scan / "bad.nii.gz", data.astype(np.uint8), affine)
    with pytest.raises(InputError, match=said) as refused:
        extract(scan, "bad.nii.gz")
    assert "\n" not in str(refused.value)
    assert not (scan / "out.nii.gz").exists()


def test_a_lesion_is_filled_by_its_surroundings() -> None:
    inside, lesion = ball((20, 20, 20), 15), ball((28, 20, 20), 5)
    image = Volume(np.where(lesion, 900.0, 100.0 * inside), AFFINE)
    np.testing.assert_allclose(filled(image, lesion, inside)[lesion], 100, rtol=1e-3)


def test_whitening_measures_the_rest_alone() -> None:
    inside, lesion = ball((20, 20, 20), 15), ball((28, 20, 20), 5)
    values = np.random.default_rng(0).normal(100, 10, inside.shape).astype(np.float32)
    bright = np.where(lesion, 160, values).astype(np.float32)
    healthy = inside & ~lesion
    mine, known = whitened(bright, inside, healthy), whitened(values, inside, healthy)
    np.testing.assert_allclose(mine[healthy], known[healthy], atol=1e-6)
    assert np.abs(whitened(bright, inside)[healthy] - known[healthy]).max() > 0.02


def test_a_lesion_on_a_coarser_grid_is_a_share() -> None:
    lesion = Volume(ball((20, 20, 20), 5), AFFINE)
    grid = Grid((40, 40, 40), AFFINE)
    shift = np.eye(4)
    shift[0, 3] = 4.0
    np.testing.assert_array_equal(lesion_share(lesion, grid) > 0.5, lesion.data)
    moved = lesion_share(lesion, grid, shift) > 0.5
    np.testing.assert_array_equal(moved[:-1], lesion.data[1:])
    require_in_brain(lesion, Volume(ball((20, 20, 20), 9), AFFINE), "mask")


def test_what_is_read_is_a_mask(scan: Path) -> None:
    image = Volume(np.zeros((40, 40, 40), np.float32), AFFINE)
    assert read_lesion(scan / "lesion.nii.gz", image, "scan").data.dtype == bool
