"""Affine normalisation: finds known poses, says so when it fails, gives the same bits again."""

from __future__ import annotations

import numpy as np
import pytest

from pmrpipe.base.errors import WorkError
from pmrpipe.images.volume import Volume
from pmrpipe.metrics.agreement import mutual_information
from pmrpipe.stages.preprocess import affine as module
from pmrpipe.stages.preprocess.affine import normalise
from pmrpipe.stages.preprocess.pose_search import CoarseSearch, angle, centre_of_mass, correlation
from pmrpipe.stages.preprocess.resample import to_isotropic
from pmrpipe.study.space import template_brain
from tests.stages.preprocess.conftest import MM, distance, make_subject, pose


def isotropic(brain: Volume) -> Volume:
    return to_isotropic(brain, MM)


def test_known_pose_is_found(subject, template):
    affine = normalise(isotropic(subject.brain), template, subject="sub-01")
    assert distance(affine.matrix, subject.matrix, template) < 1.0
    quality = affine.quality
    assert quality["start"] == "upright"
    assert quality["attempts"] == 1
    assert quality["mask_dice"] > 0.95
    assert quality["correlation"] > 0.9
    assert quality["determinant"] == pytest.approx(1.05 * 0.95 * 0.9, rel=0.03)
    assert quality["scales"] == pytest.approx([1.05, 0.95, 0.9], abs=0.03)
    assert quality["rotation_degrees"] == pytest.approx(12.1, abs=2)


def test_same_bits_again(subject, template):
    brain = isotropic(subject.brain)
    first = normalise(brain, template, subject="sub-01", seed=3)
    second = normalise(brain, template, subject="sub-01", seed=3)
    assert first.matrix.tobytes() == second.matrix.tobytes()
    assert first.quality == second.quality


@pytest.mark.parametrize("degrees", [(0, 0, 180), (90, 0, 0), (0, -70, 40), (180, 0, 90)])
def test_any_direction_is_found(template, degrees):
    subject = make_subject(template, pose(degrees))
    affine = normalise(isotropic(subject.brain), template, subject="sub-01")
    assert distance(affine.matrix, subject.matrix, template) < 1.5


def test_far_away(template, subject):
    shift = np.eye(4)
    shift[:3, 3] = [80, -80, 80]
    moved = Volume(subject.brain.data, shift @ subject.brain.affine)
    affine = normalise(isotropic(moved), template, subject="sub-01")
    assert distance(affine.matrix, shift @ subject.matrix, template) < 1.0


def test_what_is_no_brain_fails_by_name(template):
    noise = np.random.default_rng(0).random((30, 20, 10)).astype(np.float32)
    with pytest.raises(WorkError, match=r"sub-07: is not aligned .*overlap 0"):
        normalise(Volume(noise, np.diag([4.0, 4, 4, 1])), template, subject="sub-07")


def test_ants_giving_up_is_a_failure_by_name(monkeypatch, subject, template):
    monkeypatch.setattr(module, "_register", lambda *given: None)
    with pytest.raises(WorkError, match="sub-07: ANTs could not"):
        normalise(isotropic(subject.brain), template, subject="sub-07")


def test_sizes_that_no_adult_has_are_a_last_resort():
    """A newborn's is tried again, and taken when nothing better comes; a third of it is not."""
    clear = {"mask_dice": 0.95, "correlation": 0.7, "determinant": 1.0}
    newborn, absurd = ({**clear, "scales": [s, s, s]} for s in (0.56, 0.35))
    assert not module._reaches(newborn, module._CLEAR, module.ADULT_SCALES)
    assert module._reaches(newborn, module._LEAST, module._ANY_SCALES)
    assert module._missed(absurd, module._LEAST, module._ANY_SCALES) == [
        "scales 0.35, 0.35, 0.35, 0.4 to 2 are taken"
    ]


def test_a_template_grid_of_unequal_spacing(subject):
    """6 mm do not divide its field of view: 160, 192 and 176 mm."""
    uneven = template_brain(6.0)
    assert len(set(uneven.spacing)) > 1
    aligned = normalise(isotropic(subject.brain), uneven, subject="sub-01")
    assert distance(aligned.matrix, subject.matrix, uneven) < 1.5


def test_retry_after_a_failed_check(monkeypatch, subject, template):
    answers = iter([False, False, True, True])
    monkeypatch.setattr(module, "_reaches", lambda *given: next(answers))
    affine = normalise(isotropic(subject.brain), template, subject="sub-01")
    assert affine.quality["attempts"] == 3
    assert affine.quality["mask_dice"] > 0.95  # the best of the three


def test_coarse_search_sees_a_turned_head(template):
    turned = isotropic(make_subject(template, pose((0, 0, 180))).brain)
    search = CoarseSearch(turned, template)
    assert not search.upright_fits()
    best = search.ranked(2)
    linear = best[0].matrix[:3, :3]
    assert angle(linear, np.diag([-1.0, -1, 1])) < 25
    assert angle(linear, best[1].matrix[:3, :3]) > 25


def test_measures():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 20000))
    assert correlation(x, 3 * x + 1) == pytest.approx(1)
    assert correlation(x, y) == pytest.approx(0, abs=0.02)
    assert correlation(x, x * 0) == 0
    assert mutual_information(x, y) < 0.05
    assert mutual_information(x, x) > 2
    data = np.zeros((5, 6, 7))
    data[1, 2, 3] = 4
    np.testing.assert_allclose(centre_of_mass(Volume(data, np.diag([2.0, 1, 1, 1]))), [2, 2, 3])
