"""What the default eight subjects must be like at 1 mm."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from pmrpipe.base.files import read_tsv
from pmrpipe.images.volume import read_image, read_mask
from pmrpipe.stages.cohort.embedded import LABEL_TABLE, simulate_subject, template_labels
from pmrpipe.stages.cohort.embedded.anatomy import anatomy, sample, world_points
from pmrpipe.stages.cohort.embedded.deformation import (
    VELOCITY_MM,
    Deformation,
    jacobian_determinant,
    random_deformation,
    transform_points,
)
from pmrpipe.study.space import template_grid

SUBJECTS = range(1, 9)


def shape_of(index: int) -> Deformation:
    return random_deformation(np.random.default_rng([2019, index, 0]), anatomy(1.0))


def affinely_normalised_labels(shape: Deformation) -> np.ndarray:
    """The subject's labels on the 2 mm template grid after the best affine, as truth has it."""
    points = world_points(shape.grid)
    inside = points[:, sample(anatomy(1.0).brain, points) < 0]
    moved = shape.to_subject(inside)
    homogeneous = np.vstack([inside, np.ones(inside.shape[1])])
    solution = np.linalg.lstsq(homogeneous.T, moved.T, rcond=None)[0].T
    matrix = np.vstack([solution, [0, 0, 0, 1]])
    target = transform_points(matrix, world_points(template_grid(2.0)))
    return sample(template_labels(), shape.to_template(target), order=0)


def region_dice(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    table = read_tsv(LABEL_TABLE)
    size = int(table["index"].max()) + 1
    both = np.bincount(first[first == second], minlength=size)
    total = np.bincount(first.ravel(), minlength=size) + np.bincount(second.ravel(), minlength=size)
    table["dice"] = 2 * both[table["index"]] / total[table["index"]]
    return table.groupby("region")["dice"].mean().to_dict()


@pytest.mark.slow
def test_deformations_are_of_realistic_size() -> None:
    for index in SUBJECTS:
        shape = shape_of(index)
        brain = sample(anatomy(1.0).brain, world_points(shape.grid)) < 0
        determinant = jacobian_determinant(shape.forward / VELOCITY_MM)
        assert determinant.min() > 0.2
        assert 0.15 <= np.log(determinant[brain]).std() <= 0.25


@pytest.mark.slow
def test_affine_alone_leaves_real_work() -> None:
    maps = [affinely_normalised_labels(shape_of(index)) for index in SUBJECTS]
    pairs = [region_dice(a, b) for a, b in itertools.combinations(maps, 2)]
    means = [np.mean(list(pair.values())) for pair in pairs]
    assert 0.45 < np.mean(means) < 0.65
    assert max(means) < 0.75


@pytest.mark.slow
@pytest.mark.parametrize("mm", [1.0, 4.0])
def test_the_learned_brain_extraction_finds_the_brain(tmp_path: Path, mm: float) -> None:
    from pmrpipe.stages.preprocess.brain import extract_brain

    for index in SUBJECTS:
        name = f"sub-{index:02d}"
        simulate_subject(tmp_path, index, mm)
        brain = extract_brain(read_image(tmp_path / name / "anat" / f"{name}_T1w.nii.gz")).data
        folder = tmp_path / "derivatives" / "truth" / name / "anat"
        true = read_mask(folder / f"{name}_desc-brain_mask.nii.gz").data
        dice = 2 * (brain & true).sum() / (brain.sum() + true.sum())
        assert dice >= 0.95, (name, dice)
