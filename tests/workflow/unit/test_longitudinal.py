"""Which sessions target `change` compares, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.study.config import parse
from pmrpipe.workflow import longitudinal
from pmrpipe.workflow.plan import Plan


def place(root: Path, key: str, suffix: str = "T1w") -> Path:
    subject, session = key.split("_")[:2]
    return root / subject / session / "anat" / f"{key}_{suffix}.nii.gz"


def dataset(root: Path, scans: Iterable[str], suffix: str = "T1w") -> None:
    for key in scans:
        path = place(root, key, suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def plan(root: Path, **keys: object) -> Plan:
    study = {"reader": "bids", "root": str(root), "methods": ["affine"]}
    return Plan(parse(study | {"pairs": {"policy": "within-subject"}} | keys))


def test_sessions_are_in_the_order_of_their_numbers_and_of_each_the_first_run_counts(
    tmp_path: Path,
) -> None:
    keys = ("sub-A_ses-10", "sub-A_ses-2_run-2", "sub-A_ses-2_run-1", "sub-A_ses-1", "sub-B_ses-1")
    dataset(tmp_path, keys)
    study = plan(tmp_path)
    assert list(longitudinal.persons(study)) == ["sub-A"]
    said = longitudinal.comparing(study, "sub-A")
    assert list(said.scans) == ["sub-A_ses-1", "sub-A_ses-2_run-1", "sub-A_ses-10"]
    assert longitudinal.firsts(study) == ["sub-A_ses-1"]


def test_the_study_says_which_sessions_in_which_order(tmp_path: Path) -> None:
    dataset(tmp_path, ("sub-A_ses-post", "sub-A_ses-pre", "sub-A_ses-late"))
    study = plan(tmp_path, change={"sessions": ["pre", "ses-post"], "noise": 3})
    said = longitudinal.comparing(study, "sub-A")
    assert list(said.scans) == ["sub-A_ses-pre", "sub-A_ses-post"]
    assert said.noise == 3


def test_a_job_reads_scans_brains_affines_and_what_marks_the_first(tmp_path: Path) -> None:
    dataset(tmp_path, ("sub-A_ses-1", "sub-A_ses-2"))
    (tmp_path / "tumour.nii.gz").touch()
    study = plan(tmp_path, lesions={"sub-A_ses-1": "tumour.nii.gz"})
    paths, keys = study.results, ("sub-A_ses-1", "sub-A_ses-2")
    assert longitudinal.reading(study, "sub-A") == {
        "scans": [place(tmp_path, key) for key in keys],
        "brains": [paths.preproc(key) for key in keys],
        "xfms": [paths.affine(key) for key in keys],
        "lesion": tmp_path / "tumour.nii.gz",
    }
    assert longitudinal.comparing(study, "sub-A").lesion == tmp_path / "tumour.nii.gz"


def test_labels_are_the_first_scan_s_own_else_those_that_parcellate_makes(tmp_path: Path) -> None:
    dataset(tmp_path, ("sub-A_ses-1", "sub-A_ses-2", "sub-B_ses-1", "sub-C_ses-1"))
    dataset(tmp_path, ("sub-B_ses-1", "sub-C_ses-1"), "dseg")
    keys = {
        "labels": "embedded",
        "split": {"train": ["B", "C"]},
        "pairs": {"policy": "from-atlases"},
    }
    study = plan(tmp_path, **keys)
    made = study.results.parcellated("sub-A_ses-1")
    assert longitudinal.comparing(study, "sub-A").labels == made
    assert not [line for line in longitudinal.remarks(study) if "no labels" in line]
    dataset(tmp_path, ("sub-A_ses-1",), "dseg")
    own = place(tmp_path, "sub-A_ses-1", "dseg")
    assert longitudinal.comparing(plan(tmp_path, **keys), "sub-A").labels == own


def test_a_person_without_labels_is_told_in_one_line(tmp_path: Path) -> None:
    dataset(tmp_path, ("sub-A_ses-1", "sub-A_ses-2"))
    (line,) = longitudinal.remarks(plan(tmp_path))
    assert line.startswith("change: sub-A_ses-1: no labels of the first scan; the brain")


def test_who_is_not_compared_or_begins_later_is_told(tmp_path: Path) -> None:
    pre, post, late = "ses-pre", "ses-post", "ses-late"
    dataset(tmp_path, (f"sub-A_{pre}", f"sub-A_{post}", f"sub-B_{post}", f"sub-B_{late}"))
    dataset(tmp_path, (f"sub-C_{pre}", f"sub-D_{pre}"))
    study = plan(tmp_path, change={"sessions": ["pre", "post", "late"]})
    assert longitudinal.remarks(study)[1:] == [
        "change: sub-C and 1 more: fewer than two of the sessions; not compared",
        "change: sub-B at ses-post: without ses-pre; the first is another",
    ]
    assert len(longitudinal.remarks(plan(tmp_path, change={"subjects": ["A"]}))) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sessions": ["1", "7"]}, "change.sessions: nobody has ses-7; there are ses-1, ses-2"),
        ({"subjects": []}, "nobody has two sessions with a T1w scan"),
        ({"subjects": ["C"]}, "sub-C has one session with a T1w scan, sub-C_ses-1"),
        ({"subjects": ["D"]}, "sub-D has no T1w scan"),
    ],
)
def test_what_cannot_be_compared_is_one_line(tmp_path: Path, change: dict, message: str) -> None:
    """Of C the second scan is of another contrast."""
    dataset(tmp_path, ("sub-A_ses-1", "sub-A_ses-2", "sub-C_ses-1"))
    dataset(tmp_path, ("sub-C_ses-2",), "T2w")
    with pytest.raises(InputError) as error:
        longitudinal.wanted(plan(tmp_path, change=change))
    assert message in str(error.value)


@pytest.mark.parametrize("sessions", [["1"], ["1", "ses-1"]])
def test_one_session_is_none_to_compare(tmp_path: Path, sessions: list[str]) -> None:
    with pytest.raises(InputError, match="two different sessions"):
        plan(tmp_path, change={"sessions": sessions})
