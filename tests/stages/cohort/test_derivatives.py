"""What fMRIPrep and FreeSurfer leave behind as input."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.stages.cohort.index import index
from pmrpipe.study.config import parse
from pmrpipe.study.labels import read_label_table


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def indexed(root: Path, **keys: object):
    return index(parse({"root": str(root), **keys})).scans


def fmriprep(root: Path) -> None:
    for stem in ("sub-01/anat/sub-01", "sub-02/ses-a/anat/sub-02_ses-a_acq-mprage_run-1"):
        touch(
            root,
            f"{stem}_desc-preproc_T1w.nii.gz",
            f"{stem}_desc-brain_mask.nii.gz",
            f"{stem}_desc-aseg_dseg.nii.gz",
            f"{stem}_desc-aparcaseg_dseg.nii.gz",
            f"{stem}_dseg.nii.gz",
            f"{stem}_space-MNI152NLin2009cAsym_desc-preproc_T1w.nii.gz",
            f"{stem}_space-MNI152NLin2009cAsym_desc-brain_mask.nii.gz",
            f"{stem}_from-T1w_to-MNI152NLin2009cAsym_mode-image_xfm.h5",
        )
    touch(root, "sub-01.html", "sub-01/figures/sub-01_dseg.svg", "dataset_description.json")


def test_fmriprep(tmp_path):
    fmriprep(tmp_path)
    first, second = indexed(tmp_path, reader="fmriprep", labels="aseg")
    assert (first.key, second.key) == ("sub-01", "sub-02_ses-a_run-1")
    assert first.image == tmp_path / "sub-01/anat/sub-01_desc-preproc_T1w.nii.gz"
    assert first.mask == tmp_path / "sub-01/anat/sub-01_desc-brain_mask.nii.gz"
    assert first.labels == tmp_path / "sub-01/anat/sub-01_desc-aseg_dseg.nii.gz"
    assert (first.brain, first.input_state) == ("mask", "head")
    stem = "sub-02_ses-a_acq-mprage_run-1"
    assert second.mask.name == f"{stem}_desc-brain_mask.nii.gz"
    assert second.labels.name == f"{stem}_desc-aseg_dseg.nii.gz"


def test_fmriprep_with_other_wishes(tmp_path):
    fmriprep(tmp_path)
    inputs = {"labels_desc": "aparcaseg"}
    first, _ = indexed(tmp_path, reader="fmriprep", labels="aseg", inputs=inputs)
    assert first.labels.name == "sub-01_desc-aparcaseg_dseg.nii.gz"
    assert indexed(tmp_path, reader="fmriprep")[0].labels is None
    assert {scan.brain for scan in indexed(tmp_path, reader="fmriprep", brain="deepbet")} == {
        "deepbet"
    }
    for path in tmp_path.rglob("sub-01_desc-brain_mask.nii.gz"):
        path.unlink()
    with pytest.raises(InputError, match=r"sub-01: .*no mask is found"):
        indexed(tmp_path, reader="fmriprep")
    one = {"sub-01": {"brain": "deepbet"}}
    kept = indexed(tmp_path, reader="fmriprep", overrides=one)
    assert [scan.brain for scan in kept] == ["deepbet", "mask"]


def freesurfer(root: Path) -> None:
    for subject in ("bert", "sub-01_ses-02", "fsaverage", "fsaverage5"):
        for name in ("nu", "brainmask", "aseg", "aparc+aseg", "orig/001"):
            touch(root, f"{subject}/mri/{name}.mgz")
    touch(root, "bert/mri/T1.mgz", "fsaverage/mri/T1.mgz", "lh.EC_average/label/x.label")


def test_freesurfer(tmp_path):
    freesurfer(tmp_path)
    session, bert = indexed(tmp_path, reader="freesurfer", labels="aseg")
    assert (bert.key, session.key, session.subject) == ("sub-bert", "sub-01_ses-02", "sub-01")
    assert bert.image == tmp_path / "bert/mri/T1.mgz"
    assert session.image == tmp_path / "sub-01_ses-02/mri/nu.mgz"
    assert bert.mask == tmp_path / "bert/mri/brainmask.mgz"
    assert bert.labels == tmp_path / "bert/mri/aseg.mgz"
    assert {scan.brain for scan in (session, bert)} == {"mask"}
    only = indexed(tmp_path, reader="freesurfer", subjects=["bert"])
    assert [(scan.key, scan.labels) for scan in only] == [("sub-bert", None)]


def test_freesurfer_with_other_wishes(tmp_path):
    freesurfer(tmp_path)
    other = {"labels": ["aparc+aseg.mgz"]}
    scans = indexed(tmp_path, reader="freesurfer", labels="aseg", layout=other)
    assert {scan.labels.name for scan in scans} == {"aparc+aseg.mgz"}
    (tmp_path / "bert/mri/brainmask.mgz").unlink()
    with pytest.raises(InputError, match=r"bert/mri: lacks brainmask\.mgz"):
        indexed(tmp_path, reader="freesurfer")
    assert len(indexed(tmp_path, reader="freesurfer", brain="deepbet")) == 2
    named = {"bert": {"mask": "bert/mri/aseg.mgz", "orientation": "LIA"}}
    _, bert = indexed(tmp_path, reader="freesurfer", overrides=named)
    assert (bert.mask.name, bert.orientation) == ("aseg.mgz", "LIA")


def test_a_pattern_takes_masks_and_overrides_of_files(tmp_path):
    touch(tmp_path, "s1/t1.nii", "s1/m_s1.nii", "s2/t1.nii", "s2/m_s2.nii", "s2/by_hand.nii")
    layout = {"t1w": ["{subject}/t1.nii"], "masks": ["m_{subject}.nii"]}
    overrides = {"s2": {"mask": "s2/by_hand.nii"}}
    one, two = indexed(tmp_path, reader="pattern", layout=layout, overrides=overrides)
    assert (one.mask.name, one.brain, two.mask.name) == ("m_s1.nii", "mask", "by_hand.nii")
    with pytest.raises(InputError, match=r"absent\.nii: is named in overrides"):
        indexed(tmp_path, reader="pattern", layout=layout, overrides={"s1": {"mask": "absent.nii"}})


def test_the_shipped_table_of_aseg():
    table = read_label_table("aseg")
    assert len(table) == 47
    names = dict(zip(table["index"], table["name"], strict=True))
    assert (names[17], names[51], names[16]) == ("Left-Hippocampus", "Right-Putamen", "Brain-Stem")
    scored = table[table["scored"]]
    # Structures of both sides are scored on both.
    for side, other in (("Left", "Right"), ("Right", "Left")):
        mine = {name for name in scored["name"] if name.startswith(side)}
        assert {name.replace(side, other) for name in mine} <= set(scored["name"])


def test_freesurfer_files_go_through_preprocessing(tmp_path, brain_dataset):
    """.mgz of a made-up subject: its mask cuts the brain out, aseg comes along."""
    from pmrpipe.cli import main

    anat = brain_dataset / "sub-01" / "anat"
    image, labels = (nib.load(anat / f"sub-01_{name}.nii.gz") for name in ("T1w", "dseg"))
    brain = np.asarray(image.dataobj, np.float32)
    mri = tmp_path / "subjects" / "bert" / "mri"
    mri.mkdir(parents=True)
    content = {"T1": brain + 20, "brainmask": brain, "aseg": np.asarray(labels.dataobj, np.int32)}
    for name, data in content.items():
        nib.save(nib.MGHImage(data, image.affine), mri / f"{name}.mgz")
    (scan,) = indexed(tmp_path / "subjects", reader="freesurfer", labels="aseg")
    mask, cut = tmp_path / "out" / "mask.nii.gz", tmp_path / "out" / "brain.nii.gz"
    given = [scan.image, mask, cut, "--method", scan.brain, "--mask", scan.mask]
    assert main(["brain", *map(str, given)]) == 0
    np.testing.assert_array_equal(np.asarray(nib.load(mask).dataobj) > 0, brain > 0)
    np.testing.assert_allclose(nib.load(cut).affine, image.affine, atol=1e-4)
