"""Two real brains: preprocessed, then registered by affine and SyN, and scored."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pmrpipe.base.files import read_tsv
from pmrpipe.study.paths import Results

pytestmark = [pytest.mark.real_data, pytest.mark.slow]
MOVING, FIXED = "sub-1036", "sub-1104"


def pmrpipe(*words: str | Path) -> None:
    """In a process of its own: ITK fixes its threads once per process."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src")}
    environment.pop("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", None)
    command = [sys.executable, "-m", "pmrpipe", *map(str, words)]
    subprocess.run(command, check=True, env=environment)


@pytest.fixture(scope="module")
def scores(shared_data, tmp_path_factory):
    """by_pair.tsv of affine and SyN for one pair of validation subjects."""
    root = tmp_path_factory.mktemp("real")
    native = {k: shared_data / f"malf/{k}/anat/{k}_desc-malf_dseg.nii.gz" for k in (MOVING, FIXED)}
    for key, labels in native.items():
        t1w = labels.with_name(f"{key}_desc-brain_T1w.nii.gz")
        pmrpipe("preprocess", t1w, root, "--key", key, "--state", "brain", "--labels", labels)
    scans = {}
    for method in ("affine", "syn"):
        batch = Results(root).registered(method, "one")
        pair = f"{MOVING}_to_{FIXED}"
        given = ["--method", method, "--pairs", pair, "--labels", f"{MOVING}={native[MOVING]}"]
        pmrpipe("register-pairs", root, batch, *given)
        out = root / "score" / method
        pmrpipe("score-pairs", root, batch, out, "--method", method, "--table", "malf")
        scans[method] = read_tsv(out / "by_pair.tsv").iloc[0]
    return scans


def test_affine_and_syn_land_where_peers_report_them(scores):
    """The README of the data has 0.422 and 0.542 as means over other pairs, which vary by 0.03."""
    assert scores["affine"]["dice"] == pytest.approx(0.435, abs=0.03)
    assert 0.09 < scores["syn"]["dice"] - scores["affine"]["dice"] < 0.16


def test_syn_is_smooth_and_does_not_fold(scores):
    assert scores["syn"]["folding_percent"] == 0
    assert 0.1 < scores["syn"]["sdlogj"] < 0.3


def test_every_region_gains(scores):
    regions = [name for name in scores["syn"].index if name.startswith("dice_")]
    assert len(regions) == 7
    for region in regions:
        assert scores["syn"][region] > scores["affine"][region]
