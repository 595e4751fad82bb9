"""Beside which method the rows of a study are set."""

from pathlib import Path

import pytest
import yaml

from pmrpipe.base.errors import InputError
from pmrpipe.workflow import beside_reference
from pmrpipe.workflow.plan import Plan

CONFIG = Path(__file__).resolve().parents[3] / "config" / "tiny.yaml"
FAMILY = ["affine", "lddmm", "quicksilver", "quicksilver-lpp", "pmr"]


def plan(**keys: object) -> Plan:
    return Plan.of(yaml.safe_load(CONFIG.read_text()) | keys)


def test_students_are_set_beside_their_teacher_with_all_their_rows():
    study = plan(methods=FAMILY, seeds={"quicksilver": [1]}, refine={"quicksilver": 2})
    rows = ["affine", "quicksilver", "quicksilver_seed-1", "quicksilver_refine-2",
            "quicksilver-lpp"]  # fmt: skip
    assert study.references == dict.fromkeys(rows, "lddmm")


def test_without_the_teacher_there_is_no_reference():
    study = plan(methods=["affine", "quicksilver", "pmr"])
    assert study.references == {}
    assert beside_reference.tables(study) == []
    with pytest.raises(InputError, match="no method has one to be set beside"):
        beside_reference.wanted(study)


def test_a_study_names_any_reference():
    study = plan(reference="syn")
    assert study.references == dict.fromkeys(["affine", "pmr", "pmr-cc"], "syn")
    job = next(iter(beside_reference.jobs(study)))
    assert beside_reference.comparing(study, "affine", job).identity
    assert not beside_reference.comparing(study, "pmr", job).identity


@pytest.mark.parametrize(
    ("name", "message"), [("lddmm", "is not among the methods"), ("affine", "deforms nothing")]
)
def test_a_name_that_cannot_be_one_ends_in_one_line(name, message):
    with pytest.raises(InputError, match=message):
        plan(reference=name)


def test_without_fields_nothing_is_compared():
    study = plan(reference="syn", fields=False)
    assert study.references == {}
    with pytest.raises(InputError, match="fields: true"):
        beside_reference.wanted(study)


def test_a_job_reads_the_lists_of_both_methods_that_hold_its_pairs():
    study = plan(reference="syn")
    (job,) = beside_reference.jobs(study)
    lists = beside_reference.compared(study, "pmr", job)["pairs"]
    names = {(path.parts[-3], path.stem) for path in lists}
    assert names == {
        ("pmr", "0001of0001"),
        ("syn", "sub-03_to_sub-04"),
        ("syn", "sub-04_to_sub-03"),
    }
