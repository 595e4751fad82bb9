"""The simulated cohort: files, determinism, and truth that other libraries agree with."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from pmrpipe.base.files import read_json, read_tsv, sha256
from pmrpipe.images.volume import read_image, read_labels, read_mask
from pmrpipe.stages.cohort.embedded import (
    LABEL_TABLE,
    simulate,
    simulate_subject,
    split_of,
    template_labels,
    write_dataset,
)

REGIONS = ["frontal", "parietal", "occipital", "temporal", "cingulate", "putamen", "hippocampus"]


def truth(root: Path, subject: str, ending: str) -> Path:
    return root / "derivatives" / "truth" / subject / "anat" / f"{subject}_{ending}"


def t1w(root: Path, subject: str) -> Path:
    return root / subject / "anat" / f"{subject}_T1w.nii.gz"


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): sha256(path) for path in files}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cohort")
    simulate(root, subjects=3, mm=4.0)
    return root


def test_every_file_of_a_subject_is_written(cohort: Path) -> None:
    for subject in ("sub-01", "sub-02", "sub-03"):
        stem = "from-T1w_to-MNI152NLin2009aSym_mode-image_xfm"
        assert t1w(cohort, subject).is_file()
        for ending in ("dseg.nii.gz", "desc-brain_mask.nii.gz", f"{stem}.nii.gz", f"{stem}.json"):
            assert truth(cohort, subject, ending).is_file()
    assert not list(cohort.rglob(".tmp-*"))


def test_one_subject_alone_equals_the_cohort_to_the_byte(cohort: Path, tmp_path: Path) -> None:
    simulate_subject(tmp_path, 2, mm=4.0)
    written = digests(tmp_path)
    assert len(written) == 6
    assert written == {name: sha256(cohort / name) for name in written}


def test_another_seed_gives_another_subject(cohort: Path, tmp_path: Path) -> None:
    simulate_subject(tmp_path, 1, mm=4.0, seed=7)
    assert sha256(t1w(tmp_path, "sub-01")) != sha256(t1w(cohort, "sub-01"))


def test_labels_and_table_agree(cohort: Path) -> None:
    table = read_tsv(LABEL_TABLE, ("index", "name", "region", "scored"))
    known = set(table["index"])
    assert len(known) == len(table)
    assert list(dict.fromkeys(table["region"])) == REGIONS
    assert (table["scored"] == 1).all()
    assert set(np.unique(template_labels().data)) - {0} == known
    for subject in ("sub-01", "sub-02"):
        labels = read_labels(truth(cohort, subject, "dseg.nii.gz"))
        assert set(np.unique(labels.data)) - {0} == known


def test_the_mask_holds_all_labels_on_the_grid_of_the_scan(cohort: Path) -> None:
    for subject in ("sub-01", "sub-02", "sub-03"):
        scan = read_image(t1w(cohort, subject))
        mask = read_mask(truth(cohort, subject, "desc-brain_mask.nii.gz"))
        labels = read_labels(truth(cohort, subject, "dseg.nii.gz"))
        assert mask.grid == scan.grid == labels.grid
        assert mask.data[labels.data > 0].all()
        litres = mask.data.sum() * np.prod(scan.spacing) / 1e6
        assert 1.2 < litres < 2.8


def test_grids_differ_in_orientation_tilt_and_voxel_size(cohort: Path) -> None:
    affines = [nib.load(t1w(cohort, f"sub-0{n}")).affine for n in (1, 2, 3)]
    assert len({nib.aff2axcodes(affine) for affine in affines}) == 3
    cosines = affines[1][:3, :3] / np.linalg.norm(affines[1][:3, :3], axis=0)
    assert np.sort(np.abs(cosines), axis=0)[-1].max() < 0.999
    spacings = [nib.affines.voxel_sizes(affine) for affine in affines]
    assert np.ptp(spacings[1]) > 0.5
    assert all(3.5 < size <= 5.001 for spacing in spacings for size in spacing)


def test_head_and_air_are_as_in_a_scan(cohort: Path) -> None:
    scan = nib.load(t1w(cohort, "sub-01"))
    data = np.asarray(scan.dataobj)
    mask = read_mask(truth(cohort, "sub-01", "desc-brain_mask.nii.gz")).data
    assert data.dtype == np.int16
    corner = data[:4, -4:, -4:]
    assert 0 < corner.mean() < 0.1 * data[mask].mean()
    assert corner.std() > 0
    # Scalp and marrow outshine the brain's mean somewhere outside it.
    assert (data[~mask] > data[mask].mean()).mean() > 0.02


def test_descriptions_and_splits(cohort: Path, tmp_path: Path) -> None:
    assert "synthetic" in (cohort / "README").read_text()
    assert read_json(cohort / "dataset_description.json")["DatasetType"] == "raw"
    write_dataset(tmp_path, subjects=8)
    table = read_tsv(tmp_path / "participants.tsv")
    assert list(table["split"]) == ["train"] * 4 + ["validation"] + ["test"] * 3
    assert [split_of(n, 4) for n in range(1, 5)] == ["train", "train", "test", "test"]


def test_progress_is_told_per_subject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pmrpipe.stages.cohort.embedded import dataset

    said: list[str] = []
    monkeypatch.setattr(dataset, "simulate_subject", lambda *_: None)
    simulate(tmp_path, subjects=2, progress=said.append)
    assert said == ["sub-01 simulated (1 of 2)", "sub-02 simulated (2 of 2)"]


def test_the_template_labels_lie_in_grey_matter() -> None:
    from pmrpipe.study.space import Space

    labels = template_labels().data
    cortex = (labels > 0) & (labels < 600)
    assert (Space.load().tissue("gm").data[cortex] > 0.5).all()
    # Left is negative x: odd numbers lie left.
    left = np.argwhere(labels == 601)[:, 0].mean()
    assert left < labels.shape[0] / 2 < np.argwhere(labels == 602)[:, 0].mean()
