"""Which scans target `parcellate` labels, by which atlases, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pmrpipe.base.errors import InputError
from pmrpipe.study.config import parse
from pmrpipe.workflow import parcellation
from pmrpipe.workflow.plan import Plan

TINY = yaml.safe_load(
    (Path(__file__).resolve().parents[3] / "config" / "tiny.yaml").read_text(encoding="utf-8")
)


def plan(**keys: object) -> Plan:
    return Plan(parse(TINY | {"methods": ["affine", "syn"]} | keys))


def test_training_scans_are_the_atlases_of_tested_ones() -> None:
    study = plan(pairs={"policy": "from-atlases"})
    assert study.pairs == [
        (atlas, fixed) for atlas in ("sub-01", "sub-02") for fixed in ("sub-03", "sub-04")
    ]
    assert parcellation.atlases(study) == {
        key: ["sub-01", "sub-02"] for key in ("sub-03", "sub-04")
    }


def test_with_all_pairs_each_scan_is_labelled_by_the_others() -> None:
    assert parcellation.atlases(plan()) == {"sub-04": ["sub-03"], "sub-03": ["sub-04"]}


def test_a_scan_s_job_waits_for_the_jobs_that_register_its_atlases_and_for_no_other() -> None:
    study = plan(pairs={"policy": "from-atlases"})
    read = parcellation.reading(study, "sub-03")
    paths = study.results
    assert read["pairs"] == [
        paths.registered("syn", f"{a}_to_sub-03") for a in ("sub-01", "sub-02")
    ]
    assert read["own"] == [paths.dseg("sub-03")]
    options = parcellation.fusing(study, "sub-03")
    assert (options.method, options.fusion) == ("syn", "joint")
    assert options.atlases == ("sub-01", "sub-02")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"parcellate": {"method": "pmr"}}, "`pmr` is not among the methods affine, syn"),
        ({"labels": None}, "labels: no table says what the labels are"),
        ({"pairs": {"policy": "to-template"}}, "no registered pair brings labels"),
    ],
)
def test_a_study_that_can_label_nothing_is_one_line(keys: dict, message: str) -> None:
    with pytest.raises(InputError) as error:
        parcellation.wanted(plan(**keys))
    assert message in str(error.value)


def test_atlases_without_labels_are_none() -> None:
    study = plan(pairs={"policy": "from-atlases"}, labels=None)
    with pytest.raises(InputError, match="no training scan has labels"):
        _ = study.pairs
