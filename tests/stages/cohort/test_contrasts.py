"""Several contrasts in one study: who is listed, whom they go through, which pairs there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.stages.cohort.index import index
from pmrpipe.stages.cohort.pairs import pairs_of
from pmrpipe.study.config import Study, parse

ALL = {
    "01": ("T1w", "T2w"),
    "02": ("T1w",),
    "03": ("T1w", "T2w"),
    "04": ("T2w",),
}


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    for subject, contrasts in ALL.items():
        for contrast in contrasts:
            touch(tmp_path, f"sub-{subject}/anat/sub-{subject}_{contrast}.nii.gz")
        touch(tmp_path, f"labels/sub-{subject}/anat/sub-{subject}_dseg.nii.gz")
    return tmp_path


def touch(root: Path, name: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def study(root: Path, **keys: object) -> Study:
    return parse({"cohort": "x", "root": str(root), **keys})


def test_pairs_join_the_contrasts_that_are_asked_for(dataset: Path) -> None:
    across = study(dataset, pairs={"moving": "T2w", "fixed": "T1w"})
    cohort = index(across)
    assert pairs_of(across, cohort) == [
        ("sub-01_T2w", "sub-02"),
        ("sub-01_T2w", "sub-03"),
        ("sub-03_T2w", "sub-01"),
        ("sub-03_T2w", "sub-02"),
    ]


def test_only_the_own_contrast_trains(dataset: Path) -> None:
    split = {"train": ["01"], "test": ["02", "03"]}
    cohort = index(study(dataset, split=split, pairs={"moving": "T2w"}))
    assert {scan.key: scan.split for scan in cohort.scans} == {
        "sub-01": "train",
        "sub-02": "test",
        "sub-03": "test",
        "sub-03_T2w": "test",
    }


def test_what_is_packed_beside_is_in_no_split_and_of_nobody_who_is_tested(dataset: Path) -> None:
    split = {"train": ["01", "02"], "test": ["03"]}
    cohort = index(study(dataset, split=split, inputs={"also": ["T2w"]}))
    assert cohort.keys == ["sub-01", "sub-02", "sub-03"]
    (beside,) = cohort.beside
    assert (beside.key, beside.split, beside.through) == ("sub-01_T2w", None, "sub-01")


def test_a_scan_goes_through_the_t1w_of_its_session(dataset: Path) -> None:
    labels = {"labels": "embedded", "inputs": {"contrast": "T2w", "labels_root": "labels"}}
    cohort = index(study(dataset, **labels))
    scans = {scan.key: scan for scan in cohort.scans}
    assert [scan.key for scan in cohort.helpers] == ["sub-01", "sub-03"]
    led, alone = scans["sub-01_T2w"], scans["sub-04_T2w"]
    assert (led.through, led.brain) == ("sub-01", "session")
    assert led.labels == dataset / "labels/sub-01/anat/sub-01_dseg.nii.gz"
    assert (alone.through, alone.brain) == (None, "deepbet")


def test_each_scan_may_be_left_to_itself(dataset: Path) -> None:
    cohort = index(study(dataset, inputs={"contrast": "T2w", "through_t1w": False}))
    assert not cohort.helpers
    assert {scan.through for scan in cohort.scans} == {None}


def test_a_mask_of_the_very_scan_is_kept(dataset: Path) -> None:
    touch(dataset, "masks/mine.nii.gz")
    overrides = {"sub-01_T2w": {"mask": "masks/mine.nii.gz"}}
    cohort = index(study(dataset, inputs={"contrast": "T2w"}, overrides=overrides))
    scan = next(scan for scan in cohort.scans if scan.key == "sub-01_T2w")
    assert (scan.through, scan.brain) == ("sub-01", "mask")


def test_the_same_session_comes_before_others_of_the_subject(tmp_path: Path) -> None:
    for stem in ("ses-1/anat/sub-01_ses-1_run-2_T1w", "ses-2/anat/sub-01_ses-2_T1w"):
        touch(tmp_path, f"sub-01/{stem}.nii.gz")
    touch(tmp_path, "sub-01/ses-1/anat/sub-01_ses-1_T2w.nii.gz")
    (scan,) = index(study(tmp_path, inputs={"contrast": "T2w"})).scans
    assert scan.through == "sub-01_ses-1_run-2"


def test_a_contrast_that_nobody_has_is_refused(dataset: Path) -> None:
    with pytest.raises(InputError, match=r"holds no FLAIR, which pairs asks for"):
        index(study(dataset, pairs={"moving": "FLAIR"}))

    with pytest.raises(InputError, match=r"holds no PDw, which inputs\.also asks for"):
        index(study(dataset, inputs={"also": ["PDw"]}))


def test_a_reader_of_t1w_alone_says_so(tmp_path: Path) -> None:
    touch(tmp_path, "one.nii.gz")
    touch(tmp_path, "two.nii.gz")
    layout = {"t1w": ["{subject}.nii.gz"]}
    with pytest.raises(InputError, match="reader pattern knows no T2w"):
        index(study(tmp_path, reader="pattern", layout=layout, pairs={"moving": "T2w"}))
