"""The true deformation: no folds, its inverse, and ITK's reading of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pmrpipe.images.volume import write_volume
from pmrpipe.stages.cohort.embedded import simulate_subject, template_labels
from pmrpipe.stages.cohort.embedded.anatomy import Anatomy, anatomy, sample, world_points
from pmrpipe.stages.cohort.embedded.deformation import (
    VELOCITY_MM,
    Deformation,
    exponential,
    jacobian_determinant,
    random_deformation,
    rotation,
)
from pmrpipe.study.space import template_brain

FIELD = "from-T1w_to-MNI152NLin2009aSym_mode-image_xfm.nii.gz"


@pytest.fixture(scope="module")
def template() -> Anatomy:
    return anatomy(4.0)


@pytest.fixture(scope="module", params=[1, 2, 3])
def shape(request: pytest.FixtureRequest, template: Anatomy) -> Deformation:
    return random_deformation(np.random.default_rng([2019, request.param, 0]), template)


def test_size_of_the_deformation(shape: Deformation, template: Anatomy) -> None:
    points = world_points(shape.grid)
    brain = sample(template.brain, points) < 0
    for field in (shape.forward, shape.inverse):
        determinant = jacobian_determinant(field / VELOCITY_MM)
        assert determinant.min() > 0.1
        assert 0.15 <= np.log(determinant[brain]).std() <= 0.25


def test_there_and_back(shape: Deformation, template: Anatomy) -> None:
    points = world_points(shape.grid)
    inside = points[:, sample(template.brain, points) < 0]
    back = shape.to_template(shape.to_subject(inside))
    error = np.linalg.norm(back - inside, axis=0)
    assert error.mean() < 0.02
    assert error.max() < 0.2


def test_the_shape_does_not_depend_on_the_voxel_size() -> None:
    # The brain's surface is the same at every voxel size, so the same draws give the same shape.
    rng = np.random.default_rng([2019, 1, 0])
    again = random_deformation(rng, anatomy(2.0))
    reference = random_deformation(np.random.default_rng([2019, 1, 0]), anatomy(4.0))
    np.testing.assert_array_equal(again.forward, reference.forward)


def test_exponential_of_a_constant_and_of_a_linear_velocity() -> None:
    constant = np.full((3, 12, 12, 12), 1.5, np.float32)
    np.testing.assert_allclose(exponential(constant), constant, atol=1e-5)
    x = np.indices((41, 5, 5), dtype=np.float32)[0] - 20
    linear = np.stack([0.2 * x, np.zeros_like(x), np.zeros_like(x)])
    middle = slice(10, 31)
    flow = exponential(linear)[0, middle]
    np.testing.assert_allclose(flow, (np.exp(0.2) - 1) * x[middle], atol=0.02)


def test_rotation_is_proper() -> None:
    matrix = rotation(np.array([0.2, -0.1, 0.3]))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1)


@pytest.mark.parametrize("index", [1, 2])
def test_the_field_brings_scan_and_labels_onto_the_template(tmp_path: Path, index: int) -> None:
    """ITK's own reading; subject 2 is flipped, oblique and anisotropic."""
    import ants

    simulate_subject(tmp_path, index, mm=2.0)
    name = f"sub-{index:02d}"
    truth = tmp_path / "derivatives" / "truth" / name / "anat"
    labels = template_labels()
    write_volume(tmp_path / "labels.nii.gz", labels.data, labels.affine)
    fixed = ants.image_read(str(tmp_path / "labels.nii.gz"))
    field = [str(truth / f"{name}_{FIELD}")]
    scan = ants.image_read(str(tmp_path / name / "anat" / f"{name}_T1w.nii.gz"))
    dseg = ants.image_read(str(truth / f"{name}_dseg.nii.gz"))
    warped = ants.apply_transforms(fixed, scan, field).numpy()
    brain = template_brain(1.0).data
    inside = (brain > 0.3) & (warped > 0)
    assert inside.sum() > 0.98 * (brain > 0.3).sum()
    assert np.corrcoef(brain[inside], warped[inside])[0, 1] > 0.8
    moved = ants.apply_transforms(fixed, dseg, field, interpolator="nearestNeighbor").numpy()
    assert _mean_dice(np.rint(moved).astype(int), labels.data) > 0.8


def _mean_dice(first: np.ndarray, second: np.ndarray) -> float:
    both = np.bincount(second[first == second])
    sizes = np.bincount(first.ravel(), minlength=both.size) + np.bincount(second.ravel())
    return float(np.mean([2 * both[n] / sizes[n] for n in np.unique(second)[1:]]))
