"""Datasets as people have them: what is nearly BIDS is told, what is named must be there."""

from __future__ import annotations

from pathlib import Path

import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.stages.cohort.index import cohort_rows, index, remarks
from pmrpipe.stages.cohort.pairs import select
from pmrpipe.stages.cohort.scans import Cohort
from pmrpipe.study.config import parse


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def t1w(*keys: str) -> list[str]:
    return [f"{'/'.join(key.split('_')[:2])}/anat/{key}_T1w.nii.gz" for key in keys]


def listed(root: Path, **keys: object) -> Cohort:
    return index(parse({"root": str(root), **keys}))


def keys_of(root: Path, **keys: object) -> list[str]:
    return [scan.key for scan in listed(root, **keys).scans]


def refused(root: Path, words: str, **keys: object) -> None:
    with pytest.raises(InputError, match=words) as caught:
        listed(root, **keys)
    assert "\n" not in str(caught.value)


# -- one person under two names ----------------------------------------------------------------
@pytest.mark.parametrize(
    ("file", "folder", "name"),
    [
        ("sub-02/anat/sub-01_T1w.nii.gz", "sub-02", "sub-01"),
        ("sub-02/ses-1/anat/sub-02_ses-2_T1w.nii.gz", "sub-02_ses-1", "sub-02_ses-2"),
        ("sub-02/ses-1/anat/sub-02_T1w.nii.gz", "sub-02_ses-1", "sub-02"),
        ("sub-02/anat/sub-02_ses-1_T1w.nii.gz", "sub-02", "sub-02_ses-1"),
    ],
)
def test_a_scan_in_anothers_folder_is_refused_by_both_names(tmp_path, file, folder, name):
    touch(tmp_path, *t1w("sub-01", "sub-03"), file)
    refused(tmp_path, rf"{file}: lies in the folder of {folder} but is named as {name};")
    cohort = listed(tmp_path, exclude={"sub-02": "misnamed"})
    assert [scan.key for scan in cohort.scans] == ["sub-01", "sub-03"]
    assert cohort.excluded == {folder: "misnamed"}


def test_two_formats_of_one_scan_are_refused_by_both_names(tmp_path):
    touch(tmp_path, *t1w("sub-01"), "sub-01/anat/sub-01_T1w.nii")
    refused(tmp_path, r"sub-01_T1w\.nii: and sub-01_T1w\.nii\.gz are both the T1w of sub-01")
    touch(tmp_path / "pair", "sub-01/anat/sub-01_T1w.hdr", "sub-01/anat/sub-01_T1w.img")
    assert keys_of(tmp_path / "pair") == ["sub-01"]


# -- names of the configuration ----------------------------------------------------------------
@pytest.mark.parametrize("key", ["exclude", "overrides"])
@pytest.mark.parametrize("name", ["sub-O2", "03", "sub-01_ses-9", "sub-01_ses-1_run-7", "sub-0"])
def test_a_name_that_nothing_bears_is_refused(tmp_path, key, name):
    touch(tmp_path, *t1w("sub-01_ses-1_run-1", "sub-01_ses-1_run-2", "sub-02_ses-1"))
    value = {"exclude": "moved", "overrides": {"input_state": "brain"}}[key]
    refused(
        tmp_path, f"{key}: names {name if 'sub' in name else 'sub-' + name}", **{key: {name: value}}
    )


def test_a_typo_is_answered_with_the_name_that_it_is_near(tmp_path):
    touch(tmp_path, *t1w("sub-control01", "sub-control02"))
    refused(tmp_path, "is it sub-control02", exclude={"sub-contol02": "moved"})


def test_a_session_is_excluded_and_overridden_with_all_its_runs(tmp_path):
    touch(tmp_path, *t1w("sub-01_ses-1_run-1", "sub-01_ses-1_run-2", "sub-01_ses-10"))
    assert keys_of(tmp_path, exclude={"sub-01_ses-1": "moved"}) == ["sub-01_ses-10"]
    scans = listed(tmp_path, overrides={"sub-01_ses-1": {"input_state": "brain"}}).scans
    assert [scan.input_state for scan in scans] == ["head", "brain", "brain"]


def test_exceptions_may_be_for_those_whom_this_study_does_not_take(tmp_path):
    touch(tmp_path, *t1w("sub-01", "sub-02"))
    cohort = listed(tmp_path, subjects=["01"], exclude={"02": "moved"})
    assert [scan.key for scan in cohort.scans] == ["sub-01"]


@pytest.mark.parametrize("key", ["labels_root", "masks_root"])
def test_folders_that_are_named_must_be_there_and_hold_something(tmp_path, key):
    touch(tmp_path, *t1w("sub-01", "sub-02"))
    study = {"labels": "aseg", "inputs": {key: "derivatives/manul"}}
    refused(tmp_path, rf"inputs\.{key}: there is no folder .*manul", **study)
    (tmp_path / "derivatives/manul").mkdir(parents=True)
    refused(tmp_path, "no scan has a .*looked for sub-01_", **study)


def test_labels_that_no_scan_has_are_no_cohort_without_labels(tmp_path):
    touch(tmp_path, *t1w("sub-01", "sub-02"), "sub-01/anat/sub-01_desc-manual_dseg.nii.gz")
    refused(tmp_path, "labels: is set, but no scan has a dseg", labels="aseg")
    cohort = listed(tmp_path, labels="aseg", inputs={"labels_desc": "manual"})
    assert remarks(cohort) == ["1 of 2 scans have no desc-manual_dseg: sub-02"]


def test_fmriprep_without_the_labels_that_are_asked_for(tmp_path):
    for key in ("sub-01", "sub-02"):
        stem = f"{key}/anat/{key}_desc"
        touch(tmp_path, f"{stem}-preproc_T1w.nii.gz", f"{stem}-brain_mask.nii.gz")
    touch(tmp_path, "sub-01/anat/sub-01_desc-aseg_dseg.nii.gz")
    study = {"reader": "fmriprep", "labels": "aseg"}
    refused(tmp_path, r"sub-02_desc-preproc_T1w\.nii\.gz: has no desc-aseg_dseg", **study)
    assert keys_of(tmp_path, **study, exclude={"02": "no surfaces"}) == ["sub-01"]


def test_two_label_maps_of_one_scan_are_refused_by_both_names(tmp_path):
    touch(tmp_path, *t1w("sub-01"), *(f"sub-01/anat/sub-01_dseg.nii{e}" for e in ("", ".gz")))
    refused(tmp_path, r"sub-01_dseg\.nii\.gz and sub-01_dseg\.nii are both the dseg", labels="aseg")


# -- links without content ---------------------------------------------------------------------
def dangle(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(".git/annex/objects/Xx/MD5E-s1--0.nii.gz")


def circle(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(path.name)


LINKS = pytest.mark.parametrize("link", [dangle, circle])


@LINKS
def test_an_annexed_scan_stops_only_who_needs_it(tmp_path, link):
    touch(tmp_path, *t1w("sub-01", "sub-03"))
    link(tmp_path / t1w("sub-02")[0])
    refused(tmp_path, r"sub-02_T1w\.nii\.gz: is a link without content; .*datalad get")
    assert keys_of(tmp_path, exclude={"02": "not fetched"}) == ["sub-01", "sub-03"]
    assert keys_of(tmp_path, split={"test": ["01", "03"]}) == ["sub-01", "sub-02", "sub-03"]
    assert keys_of(tmp_path, subjects=["01", "03"]) == ["sub-01", "sub-03"]


@LINKS
def test_a_subject_or_session_that_is_a_link_to_nothing_is_listed(tmp_path, link):
    touch(tmp_path, *t1w("sub-01"))
    link(tmp_path / "sub-02")
    link(tmp_path / "sub-01" / "ses-x")
    assert keys_of(tmp_path) == ["sub-01"]


@LINKS
@pytest.mark.parametrize("kind", ["dseg", "desc-brain_mask"])
def test_a_dangling_mask_or_label_map_is_not_absent(tmp_path, kind, link):
    touch(tmp_path, *t1w("sub-01", "sub-02"), f"d/sub-01/anat/sub-01_{kind}.nii.gz")
    link(tmp_path / f"d/sub-02/anat/sub-02_{kind}.nii.gz")
    study = {"labels": "aseg", "inputs": {"labels_root": "d"}}
    if kind != "dseg":
        study = {"inputs": {"masks_root": "d"}}
    refused(tmp_path, rf"sub-02_{kind}\.nii\.gz: is a link without content", **study)
    assert keys_of(tmp_path, **study, exclude={"02": "later"}) == ["sub-01"]


@LINKS
def test_a_freesurfer_subject_without_content_can_be_excluded(tmp_path, link):
    for name in ("a", "b"):
        touch(tmp_path, *(f"{name}/mri/{file}.mgz" for file in ("T1", "brainmask")))
    (tmp_path / "b/mri/brainmask.mgz").unlink()
    link(tmp_path / "b/mri/brainmask.mgz")
    refused(tmp_path, r"b/mri/brainmask\.mgz: is a link without content", reader="freesurfer")
    assert keys_of(tmp_path, reader="freesurfer", exclude={"b": "later"}) == ["sub-a"]


# -- what is skipped is told -------------------------------------------------------------------
def test_whatever_is_skipped_is_listed(tmp_path):
    touch(
        tmp_path,
        *t1w("sub-01"),
        "sub-02/anat/sub-02_T1W.nii.gz",
        "sub-03/anat/sub-03-T1w.nii.gz",
        "sub-04/sub-04_T1w.nii.gz",
        "sub-05_old/anat/sub-05_T1w.nii.gz",
        "Sub06/anat/sub-06_T1w.nii.gz",
        "patient07/anat/sub-07_T1w.nii.gz",
        "code/sub-08_T1w.nii.gz",
        "sub-09",
        "sub-01/anat/sub-01_desc-brain_T1w.nii.gz",
        "sub-01/anat/sub-01_space-T1w_desc-brain_mask.nii.gz",
        "sub-01/anat/sub-01_T1w.json",
        "sub-01/anat/sub-01_T1map.nii.gz",
        "sub-01.html",
    )
    cohort = listed(tmp_path)
    assert [scan.key for scan in cohort.scans] == ["sub-01"]
    assert cohort.skipped == {
        "Sub06": "no subject's folder (sub-, then letters and digits)",
        "patient07": "no subject's folder (sub-, then letters and digits)",
        "sub-09": "a file, no folder",
        "sub-05_old": "no subject's folder (sub-, then letters and digits)",
        "sub-01/anat/sub-01_desc-brain_T1w.nii.gz": "desc-brain is not inputs.t1w_desc",
        "sub-02/anat/sub-02_T1W.nii.gz": "not named sub-X[_ses-Y][_...]_T1w",
        "sub-02": "without a T1w that is taken",
        "sub-03/anat/sub-03-T1w.nii.gz": "not named sub-X[_ses-Y][_...]_T1w",
        "sub-03": "without a T1w that is taken",
        "sub-04/sub-04_T1w.nii.gz": "outside anat/",
        "sub-04": "without a T1w that is taken",
    }
    assert "3 skipped, without a T1w that is taken: sub-02, sub-03, sub-04" in remarks(cohort)
    rows = [(row.get("t1w"), row["skipped"]) for row in cohort_rows(cohort) if "skipped" in row]
    assert dict(rows) == cohort.skipped


def test_many_are_told_by_their_number_and_first_names(tmp_path):
    touch(tmp_path, *t1w("sub-99"))
    for number in range(20):
        (tmp_path / f"sub-{number:02d}").mkdir()
    expected = "20 skipped, without a T1w that is taken: sub-00, sub-01, sub-02 and 17 more"
    assert remarks(listed(tmp_path)) == [expected]


def test_a_dataset_of_near_misses_alone_says_what_it_holds(tmp_path):
    touch(tmp_path, "sub-01/anat/sub-01_t1.nii.gz")
    refused(tmp_path, r"such as sub-01/anat/sub-01_t1\.nii\.gz \(not named")


# -- several scans of one session --------------------------------------------------------------
SEVERAL = (
    "sub-01/anat/sub-01_acq-hires_T1w.nii.gz",
    "sub-01/anat/sub-01_acq-fast_T1w.nii.gz",
    "sub-01/anat/sub-01_acq-hires_ce-gd_T1w.nii.gz",
    "sub-02/anat/sub-02_T1w.nii.gz",
    "sub-02/anat/sub-02_ce-gd_T1w.nii.gz",
    "sub-03/anat/sub-03_acq-hires_T1w.nii.gz",
)


@pytest.mark.parametrize(
    ("inputs", "names"),
    [
        ({"acquisition": "hires", "ce": "none"}, ["01_acq-hires", "03_acq-hires"]),
        ({"acquisition": "fast"}, ["01_acq-fast"]),
        ({"ce": "gd"}, ["01_acq-hires_ce-gd", "02_ce-gd"]),
        ({"acquisition": "none", "ce": "none"}, ["02"]),
    ],
)
def test_scans_of_a_session_are_chosen_by_the_configuration(tmp_path, inputs, names):
    touch(tmp_path, *SEVERAL)
    cohort = listed(tmp_path, inputs=inputs)
    assert [s.image.name for s in cohort.scans] == [f"sub-{name}_T1w.nii.gz" for name in names]
    files = {name for name in cohort.skipped if name.endswith(".nii.gz")}
    assert len(files) == len(SEVERAL) - len(names)


def test_the_choice_is_offered_where_two_are_left(tmp_path):
    touch(tmp_path, *SEVERAL)
    refused(tmp_path, r"choose by inputs: \{acquisition: fast\} or \{acquisition: hires\}")
    refused(
        tmp_path, r"choose by inputs: \{ce: none\} or \{ce: gd\}", inputs={"acquisition": "hires"}
    )
    study = {"exclude": {"01": "two scans", "02": "two scans"}}
    assert keys_of(tmp_path, **study) == ["sub-03"]


@pytest.mark.parametrize(
    ("run", "keys"),
    [
        (None, ["sub-01_ses-1_run-1", "sub-01_ses-1_run-2", "sub-01_ses-1_run-10", "sub-02_ses-1"]),
        ("first", ["sub-01_ses-1_run-1", "sub-02_ses-1"]),
        ("last", ["sub-01_ses-1_run-10", "sub-02_ses-1"]),
        (2, ["sub-01_ses-1_run-2"]),
    ],
)
def test_one_run_of_each_session(tmp_path, run, keys):
    touch(tmp_path, *t1w(*(f"sub-01_ses-1_run-{n}" for n in (1, 2, 10)), "sub-02_ses-1"))
    assert sorted(keys_of(tmp_path, inputs={"run": run})) == sorted(keys)


# -- pairs -------------------------------------------------------------------------------------
def pairs_of(root: Path, **policy: object) -> list[tuple[str, str]]:
    study = parse({"root": str(root), "pairs": policy})
    return select(index(study).of("test"), study.pairs, study.seed)


def test_one_subject_with_two_sessions(tmp_path):
    touch(tmp_path, *t1w("sub-01_ses-1", "sub-01_ses-2"))
    with pytest.raises(InputError, match=r"all tested scans \(2\) are of sub-01.*within-subject"):
        pairs_of(tmp_path)
    keys = ("sub-01_ses-1", "sub-01_ses-2")
    assert pairs_of(tmp_path, policy="within-subject") == [keys, keys[::-1]]


def test_within_subjects_no_two_subjects_meet(tmp_path):
    touch(tmp_path, *t1w("sub-01_ses-1", "sub-01_ses-2", "sub-02_ses-1", "sub-02_ses-2", "sub-03"))
    pairs = pairs_of(tmp_path, policy="within-subject")
    assert len(pairs) == 4
    assert {(m.split("_")[0], f.split("_")[0]) for m, f in pairs} == {
        ("sub-01", "sub-01"),
        ("sub-02", "sub-02"),
    }


def test_a_policy_without_a_pair_says_why(tmp_path):
    touch(tmp_path, *t1w("sub-01"))
    with pytest.raises(InputError, match="to-template"):
        pairs_of(tmp_path)
    with pytest.raises(InputError, match="no tested subject has two scans"):
        pairs_of(tmp_path, policy="within-subject")
    (tmp_path / "pairs.tsv").write_text("moving\tfixed\n")
    with pytest.raises(InputError, match=r"pairs\.tsv: lists no pair"):
        pairs_of(tmp_path, policy="file", file=str(tmp_path / "pairs.tsv"))
