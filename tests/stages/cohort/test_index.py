"""Cohorts: what is found, splits, pairs, batches, label tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.stages.cohort.index import cohort_rows, index
from pmrpipe.stages.cohort.pairs import batches, select
from pmrpipe.stages.cohort.scans import Scan
from pmrpipe.study.config import Pairs, Study, parse
from pmrpipe.study.labels import REGIONS, read_label_table, scored_labels


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def study(root: Path, **keys: object) -> Study:
    return parse({"root": str(root), **keys})


def test_sessions_runs_and_subjects_are_found(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "sub-A/ses-1/anat/sub-A_ses-1_run-2_T1w.nii.gz",
        "sub-A/ses-1/anat/sub-A_ses-1_run-1_T1w.nii",
        "sub-B/anat/sub-B_acq-mprage_T1w.nii.gz",
        "sub-B/anat/sub-B_desc-brain_T1w.nii.gz",
        "sub-B/anat/sub-B_T2w.nii.gz",
        "derivatives/x/sub-B/anat/sub-B_T1w.nii.gz",
    )
    cohort = index(study(tmp_path))
    assert [scan.key for scan in cohort.scans] == [
        "sub-A_ses-1_run-1",
        "sub-A_ses-1_run-2",
        "sub-B",
    ]
    assert {scan.split for scan in cohort.scans} == {"test"}
    brains = index(study(tmp_path, inputs={"t1w_desc": "brain"}))
    assert [scan.image.name for scan in brains.scans] == ["sub-B_desc-brain_T1w.nii.gz"]


def test_two_files_of_one_scan_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "sub-A/anat/sub-A_T1w.nii.gz", "sub-A/anat/sub-A_acq-x_T1w.nii.gz")
    with pytest.raises(InputError, match="both the T1w of sub-A"):
        index(study(tmp_path))


def test_labels_masks_and_overrides(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "sub-A/anat/sub-A_T1w.nii.gz",
        "sub-B/anat/sub-B_T1w.nii.gz",
        "derivatives/manual/sub-A/anat/sub-A_dseg.nii.gz",
        "derivatives/masks/sub-A/anat/sub-A_desc-brain_mask.nii.gz",
        "other/mask.nii.gz",
    )
    cohort = index(
        study(
            tmp_path,
            labels="malf",
            inputs={"labels_root": "derivatives/manual", "masks_root": "derivatives/masks"},
            overrides={"B": {"input_state": "brain", "mask": "other/mask.nii.gz"}},
        )
    )
    a, b = cohort.scans
    assert a.labels is not None
    assert a.labels.name == "sub-A_dseg.nii.gz"
    assert (a.brain, a.input_state, b.brain, b.input_state) == ("mask", "head", "mask", "brain")
    assert b.labels is None
    assert b.mask == tmp_path / "other/mask.nii.gz"


def test_exclusion_keeps_its_reason_in_the_table(tmp_path: Path) -> None:
    touch(tmp_path, "sub-A/anat/sub-A_T1w.nii.gz", "sub-B/anat/sub-B_T1w.nii.gz")
    cohort = index(study(tmp_path, exclude={"B": "moved"}, split={"test": ["A", "B"]}))
    assert [scan.key for scan in cohort.scans] == ["sub-A"]
    rows = {row["key"]: row.get("excluded") for row in cohort_rows(cohort)}
    assert rows == {"sub-A": None, "sub-B": "moved"}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"split": {"train": ["A"], "test": ["A"]}}, "both train and test"),
        ({"split": {"train": ["Z"]}}, "no scan of sub-Z"),
        ({"subjects": ["Z"]}, "no scan of sub-Z"),
        ({"exclude": {"A": "x"}}, "every scan is excluded"),
        ({"inputs": {"t1w_desc": "preproc"}}, "holds no sub-"),
        ({"brain": "mask"}, "no mask is found"),
    ],
)
def test_bad_studies_end_in_one_line(tmp_path: Path, keys: dict, message: str) -> None:
    touch(tmp_path, "sub-A/anat/sub-A_T1w.nii.gz")
    with pytest.raises(InputError, match=message) as caught:
        index(study(tmp_path, **keys))
    assert "\n" not in str(caught.value)


def test_dicom_and_missing_folders_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "patient/IM0001.dcm")
    with pytest.raises(InputError, match="dcm2niix"):
        index(study(tmp_path))
    with pytest.raises(InputError, match="no such folder"):
        index(study(tmp_path / "absent"))


def test_fractions_keep_subjects_together_and_are_seeded(tmp_path: Path) -> None:
    touch(
        tmp_path,
        *(f"sub-{n}/ses-{s}/anat/sub-{n}_ses-{s}_T1w.nii.gz" for n in range(10) for s in "12"),
    )
    one, two = (index(study(tmp_path, split={"train": 0.6, "validation": 0.1})) for _ in range(2))
    assert one == two
    roles = {scan.subject: scan.split for scan in one.scans}
    assert sorted(roles.values()).count("train") == 6
    assert all(roles[scan.subject] == scan.split for scan in one.scans)
    other = index(study(tmp_path, split={"train": 0.6, "validation": 0.1}, seed=1))
    assert {s.subject: s.split for s in other.scans} != roles


def test_split_by_column(tmp_path: Path) -> None:
    touch(tmp_path, "sub-A/anat/sub-A_T1w.nii.gz", "sub-B/anat/sub-B_T1w.nii.gz")
    table = tmp_path / "participants.tsv"
    table.write_text("participant_id\trole\nsub-A\ttrain\nsub-B\ttest\n")
    cohort = index(study(tmp_path, split={"column": "role"}))
    assert [scan.split for scan in cohort.scans] == ["train", "test"]
    table.write_text("participant_id\trole\nA\ttest\nB\ttrain\n")
    cohort = index(study(tmp_path, split={"column": "role"}))
    assert [scan.split for scan in cohort.scans] == ["test", "train"]
    table.write_text("participant_id\trole\nsub-A\ttrain\nsub-A\ttest\n")
    with pytest.raises(InputError, match="two splits"):
        index(study(tmp_path, split={"column": "role"}))


SCANS = [Scan(key, Path(key)) for key in ("sub-A_ses-1", "sub-A_ses-2", "sub-B", "sub-C")]


def test_pairs_join_different_subjects_only() -> None:
    pairs = select(SCANS, Pairs(), 0)
    assert len(pairs) == 10
    assert all(m.split("_")[0] != f.split("_")[0] for m, f in pairs)
    assert select(SCANS, Pairs(policy="to-template"), 0, "tpl-Mine")[0] == (
        "sub-A_ses-1",
        "tpl-Mine",
    )
    to_b = select(SCANS, Pairs(policy="to-subject", subject="B"), 0)
    assert to_b == [("sub-A_ses-1", "sub-B"), ("sub-A_ses-2", "sub-B"), ("sub-C", "sub-B")]
    with pytest.raises(InputError, match="not among the tested"):
        select(SCANS, Pairs(policy="to-subject", subject="Z"), 0)


def test_random_partners_do_not_hang_on_who_else_comes_last() -> None:
    pairs = select(SCANS, Pairs(policy="random", k=1), 7)
    assert len(pairs) == 4
    assert pairs == select(SCANS, Pairs(policy="random", k=1), 7)


def test_pairs_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("moving\tfixed\nsub-B\tsub-C\n")
    assert select(SCANS, Pairs(policy="file", file=str(path)), 0) == [("sub-B", "sub-C")]
    path.write_text("moving\tfixed\nsub-B\tsub-Z\n")
    with pytest.raises(InputError, match="sub-Z is not among"):
        select(SCANS, Pairs(policy="file", file=str(path)), 0)


def test_batches_hold_every_pair_once_and_are_stable() -> None:
    pairs = [(f"sub-{i}", f"sub-{j}") for i in range(9) for j in range(9) if i != j]
    shared = batches(pairs, 10)
    assert sorted(p for batch in shared.values() for p in batch) == sorted(pairs)
    fewer = batches(pairs[:-1], 10)
    assert sum(shared[name] != fewer[name] for name in fewer) == 1
    assert list(batches(pairs[:2], 1)) == ["sub-0_to_sub-1", "sub-0_to_sub-2"]


@pytest.mark.parametrize(("name", "scored"), [("malf", 130), ("embedded", None)])
def test_shipped_label_tables(name: str, scored: int | None) -> None:
    table = read_label_table(name)
    assert set(table["region"].dropna()) == set(REGIONS)
    assert scored is None or len(scored_labels(name)) == scored


def test_broken_label_tables(tmp_path: Path) -> None:
    path = tmp_path / "labels.tsv"
    path.write_text("index\tname\tregion\tscored\n1\ta\tn/a\t1\n1\tb\tn/a\t1\n")
    with pytest.raises(InputError, match="index 1 stands twice"):
        read_label_table(str(path))
    path.write_text("name\tregion\tscored\na\tn/a\t1\n")
    with pytest.raises(InputError, match="no column index"):
        read_label_table(str(path))
    with pytest.raises(InputError, match=r"known: .*malf"):
        read_label_table("absent")
