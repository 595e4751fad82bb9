"""The foundation study: equal weights, cohorts that fit together, and one that is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import write_text
from pmrpipe.methods.spec import spec
from pmrpipe.study.config import load, parse
from pmrpipe.workflow import commands
from pmrpipe.workflow.plan import Plan

CONFIG = Path(__file__).resolve().parents[3] / "config"


@pytest.fixture
def study(tmp_path, monkeypatch) -> dict:
    """The configuration, on twenty empty scans, seen from a folder in which nothing was run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").symlink_to(CONFIG)
    for n in range(20):
        write_text(tmp_path / f"data/sub-{n:02d}/anat/sub-{n:02d}_T1w.nii.gz", "")
    return yaml.safe_load((CONFIG / "foundation.yaml").read_text()) | {"root": "data"}


def test_its_cohorts_have_equal_weight_and_the_same_grid() -> None:
    whole = load(CONFIG / "foundation.yaml")
    assert len(whole.cohorts) == 2
    assert {cohort.weight for cohort in whole.cohorts.values()} == {1.0}
    assert whole.cohort not in whole.cohorts  # its own weight is 1 too
    for cohort in whole.cohorts.values():
        other = load(CONFIG.parent / str(cohort.study))
        assert (other.grid_mm, other.space) == (whole.grid_mm, whole.space)


def test_a_cohort_that_is_missing_is_said_in_one_line(study) -> None:
    with pytest.raises(InputError, match="cohort `ds000011` is not packed; run its own") as caught:
        Plan.of(study)
    assert "\n" not in str(caught.value)
    study["cohorts"]["ds000011"]["study"] = "config/nothing.yaml"
    with pytest.raises(InputError, match=r"config/nothing\.yaml: no such file") as caught:
        Plan.of(study)
    assert "\n" not in str(caught.value)


def test_its_training_is_told_of_all_cohorts(study) -> None:
    # Unchecked: the arrays are not there.
    training = commands.train(Plan(parse(study)), "gradicon-cohorts")
    assert set(training.cohorts) == {"ds000011", "simulated"}
    assert set(training.cohort_weights.values()) == {1.0}


def test_the_method_is_what_unigradicon_s_protocol_asks_for() -> None:
    method = spec("gradicon-cohorts")
    assert method.input.quantiles == (0.0, 0.99)
    assert method.schedule.augmentation.flip
    assert method.schedule.augmentation.affine == 0.05
