"""Result paths: contrasts side by side, spaces by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pmrpipe.study.keys import (
    CONTRASTS,
    KEY_PATTERN,
    SCAN_PATTERN,
    contrast_of,
    folder_of,
    scan_and_contrast,
    scan_key,
    subject_of,
)
from pmrpipe.study.paths import Results
from pmrpipe.study.space import Space

R = Results(Path("r"))
T1W, T2W = "sub-A_ses-1_run-2", "sub-A_ses-1_run-2_T2w"
BRAIN = "r/sub-A/ses-1/anat/sub-A_ses-1_run-2"


@pytest.mark.parametrize("contrast", CONTRASTS)
@pytest.mark.parametrize("scan", ["sub-A", "sub-A_ses-1", "sub-A_run-2", "sub-A_ses-1_run-2"])
def test_a_key_tells_scan_and_contrast_apart(scan: str, contrast: str) -> None:
    key = scan_key(scan, contrast)
    assert scan_and_contrast(key) == (scan, contrast)
    assert contrast_of(key) == contrast
    assert re.fullmatch(KEY_PATTERN, key)
    assert bool(re.fullmatch(SCAN_PATTERN, key)) == (contrast == "T1w")
    assert (folder_of(key), subject_of(key)) == (folder_of(scan), "sub-A")


@pytest.mark.parametrize("key", ["sub-A_T1w", "sub-A_bold", "sub-A_T2w_run-1", "A_T2w"])
def test_what_is_no_key_does_not_pass_for_one(key: str) -> None:
    assert not re.fullmatch(KEY_PATTERN, key)


def scan_paths(results: Results, key: str, folder: str | None = None) -> list[Path]:
    made: list[Callable[[str, str | None], Path]] = [
        *(results.mask, results.brain, results.resampled),
        *(results.affine, results.preproc, results.dseg),
    ]
    return [path(key, folder) for path in made]


def test_names_of_a_t1w_are_the_promised_ones() -> None:
    space = "space-MNI152NLin2009aSym_res-1"
    assert [str(path) for path in scan_paths(R, T1W)] == [
        f"{BRAIN}_desc-brain_mask.nii.gz",
        f"{BRAIN}_desc-brain_T1w.nii.gz",
        f"{BRAIN}_res-1_desc-brain_T1w.nii.gz",
        f"{BRAIN}_from-T1w_to-MNI152NLin2009aSym_mode-image_xfm.mat",
        f"{BRAIN}_{space}_desc-preproc_T1w.nii.gz",
        f"{BRAIN}_{space}_dseg.nii.gz",
    ]
    tpl = "r/tpl-MNI152NLin2009aSym/anat/tpl-MNI152NLin2009aSym"
    assert str(R.template) == f"{tpl}_res-1_desc-brain_T1w.nii.gz"
    assert str(R.preproc(R.space.key)) == f"{tpl}_{space}_desc-preproc_T1w.nii.gz"
    assert str(R.qc_figure(T1W, "mask")) == f"r/figures/{T1W}_desc-mask_T1w.svg"


def test_names_of_a_t2w_say_so() -> None:
    space = "space-MNI152NLin2009aSym_res-1"
    assert [str(path) for path in scan_paths(R, T2W)] == [
        f"{BRAIN}_space-T2w_desc-brain_mask.nii.gz",
        f"{BRAIN}_desc-brain_T2w.nii.gz",
        f"{BRAIN}_res-1_desc-brain_T2w.nii.gz",
        f"{BRAIN}_from-T2w_to-MNI152NLin2009aSym_mode-image_xfm.mat",
        f"{BRAIN}_{space}_desc-preproc_T2w.nii.gz",
        f"{BRAIN}_{space}_desc-T2w_dseg.nii.gz",
    ]
    assert R.warped("syn", T2W, T1W).name == f"{T2W}_to_{T1W}_desc-warped_T2w.nii.gz"


def test_no_two_contrasts_of_a_session_share_a_file() -> None:
    keys = [scan_key(T1W, contrast) for contrast in CONTRASTS]
    paths = [path for key in keys for path in scan_paths(R, key)]
    paths += [path(key) for key in keys for path in (R.qc_page, R.qc_measures)]
    paths += [R.qc_figure(key, "mask") for key in keys]
    assert len(set(paths)) == len(paths) == 9 * len(CONTRASTS)


@pytest.mark.parametrize("contrast", CONTRASTS[1:])
def test_one_pattern_of_the_workflow_stands_for_all_other_contrasts(contrast: str) -> None:
    patterns = scan_paths(R, "{key}_{contrast}", "{folder}")
    filled = [
        str(path).format(key=T1W, contrast=contrast, folder="sub-A/ses-1") for path in patterns
    ]
    assert filled == [str(path) for path in scan_paths(R, scan_key(T1W, contrast))]


def test_paths_name_the_space(tmp_path: Path) -> None:
    yaml = tmp_path / "mine.yaml"
    yaml.write_text("name: Mine\nfiles: {brain: a.nii}", encoding="utf-8")
    results = Results(Path("r"), 0.8, Space.load(yaml))
    _, _, resampled, affine, preproc, dseg = (path.name for path in scan_paths(results, "sub-A"))
    assert resampled == "sub-A_res-0p8_desc-brain_T1w.nii.gz"
    assert affine == "sub-A_from-T1w_to-Mine_mode-image_xfm.mat"
    assert preproc == "sub-A_space-Mine_res-0p8_desc-preproc_T1w.nii.gz"
    assert dseg == "sub-A_space-Mine_res-0p8_dseg.nii.gz"
    assert str(results.template) == "r/tpl-Mine/anat/tpl-Mine_res-0p8_desc-brain_T1w.nii.gz"
