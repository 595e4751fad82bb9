"""`modalities`: scans of other contrasts of one head as they come, onto the grid of its T1w."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_json
from pmrpipe.images.transforms import read_affine
from pmrpipe.images.volume import read_grid, read_image, read_mask, write_volume
from pmrpipe.native.modalities import modalities
from pmrpipe.stages.cohort.embedded import simulate_contrast, simulate_subject
from pmrpipe.study.options.two_scans import TwoScans


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A T1w whose brain is cut out, a T2w and a FLAIR as they come, and the truth."""
    root = tmp_path_factory.mktemp("head")
    simulate_subject(root, 1, mm=4.0)
    simulate_contrast(root, 1, "T2w", mm=4.0)
    folder, truth = root / "sub-01" / "anat", root / "derivatives" / "truth" / "sub-01" / "anat"
    mask = read_mask(truth / "sub-01_desc-brain_mask.nii.gz")
    scan = read_image(folder / "sub-01_T1w.nii.gz")
    brain = np.where(mask.data, scan.data, 0)
    write_volume(root / "sub-01_T1w.nii.gz", brain, scan.affine)
    (folder / "sub-01_T2w.nii.gz").rename(root / "sub-01_T2w.nii.gz")
    (truth / "sub-01_from-T2w_to-T1w_mode-image_xfm.mat").rename(root / "truth.mat")
    return root


def test_a_t2w_comes_onto_the_grid_of_the_t1w(head: Path, cache: Path) -> None:
    out, work = head / "out", TwoScans(mm=8, brain_extracted=True, cache=cache, threads=1)
    t1w = head / "sub-01_T1w.nii.gz"
    (shown,) = modalities(t1w, [head / "sub-01_T2w.nii.gz"], work, out)
    assert read_grid(out / "space-T1w_T2w.nii.gz") == read_grid(t1w)
    rigid = read_affine(out / "from-T2w_to-T1w_mode-image_xfm.mat")
    points = np.argwhere(read_image(t1w).data > 0) @ read_grid(t1w).affine[:3, :3].T
    points = points + read_grid(t1w).affine[:3, 3]
    apart = rigid - read_affine(head / "truth.mat")
    assert np.linalg.norm(points @ apart[:3, :3].T + apart[:3, 3], axis=1).mean() < 1
    assert shown.facts["doubts"] == []
    assert read_json(out / "modalities.json")["scans"]["T2w"]["scan"] == "sub-01_T2w.nii.gz"
    assert "Checkerboard" in (out / "qc.html").read_text(encoding="utf-8")
    modalities(t1w, [head / "sub-01_T2w.nii.gz"], work, out)  # its own files may be replaced


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["sub-01_T1w.nii.gz"], "given twice"),
        (["sub-01_T2w.nii.gz"] * 2, "given twice"),
        (["sub-02_T2w.nii.gz"], "another person than sub-01_T1w"),
        (["other_T1w.nii.gz"], "no other contrast than T1w by its name"),
    ],
)
def test_scans_that_are_no_other_contrast_are_refused(
    head: Path, tmp_path: Path, names: list[str], problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        modalities(
            head / "sub-01_T1w.nii.gz", [head / name for name in names], TwoScans(), tmp_path
        )


def test_a_t2w_takes_no_t1w_s_place(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a_T2w\.nii\.gz: is a T2w by its name; give the T1w in"):
        modalities(tmp_path / "a_T2w.nii.gz", [tmp_path / "a_FLAIR.nii.gz"], TwoScans(), tmp_path)


def test_a_file_of_others_is_left_alone(head: Path, tmp_path: Path) -> None:
    (tmp_path / "qc.html").write_text("mine")
    with pytest.raises(InputError, match="not written by pmrpipe modalities"):
        modalities(head / "sub-01_T1w.nii.gz", [head / "sub-01_T2w.nii.gz"], TwoScans(), tmp_path)
    assert (tmp_path / "qc.html").read_text() == "mine"


def test_nothing_is_written_where_one_scan_cannot_be_read(head: Path, tmp_path: Path) -> None:
    damaged, out = tmp_path / "sub-01_FLAIR.nii.gz", tmp_path / "out"
    damaged.write_bytes(b"no image")
    work = TwoScans(mm=8, brain_extracted=True, cache=tmp_path / "cache", threads=1)
    scans = [head / "sub-01_T2w.nii.gz", damaged]
    with pytest.raises(InputError, match="sub-01_FLAIR"):
        modalities(head / "sub-01_T1w.nii.gz", scans, work, out)
    assert not out.exists()
    assert not work.cache.exists()  # it is told before any work


def test_one_scan_is_warned_of_once_and_is_neither_moving_nor_fixed(
    head: Path, cache: Path, tmp_path: Path
) -> None:
    scan = read_image(head / "sub-01_T1w.nii.gz")
    cut = scan.data[: 2 * scan.data.shape[0] // 3]
    write_volume(tmp_path / "cut_T1w.nii.gz", cut, scan.affine)
    work = TwoScans(mm=8, brain_extracted=True, cache=cache, threads=1)
    said: list[str] = []
    scans = tmp_path / "cut_T1w.nii.gz", [head / "sub-01_T2w.nii.gz"]
    modalities(*scans, work, tmp_path / "out", said.append)
    warned = [line for line in said if line.startswith("warning: ")]
    assert warned
    assert len(warned) == len(set(warned))
    assert not [line for line in warned if "(moving)" in line or "(fixed)" in line]
