"""Verbs that need neither ants nor torch start without them, and fast."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
HEAVY = {"ants", "torch", "nipype", "lightning", "pytorch_lightning", "snakemake", "deepbet"}
LIMIT_SECONDS = 0.7
# pandas alone takes half a second.
LIMIT_WITH_PANDAS = 1.5


def started(words: list[str], folder: Path) -> tuple[set[str], float]:
    """Packages that a verb imported, and its processor time (the wall's is others' too).

    The lesser of two runs: the first in a fresh environment compiles what it imports.
    """
    packages, first = _started(words, folder)
    return packages, min(first, _started(words, folder)[1])


def _started(words: list[str], folder: Path) -> tuple[set[str], float]:
    environment = {**os.environ, "PYTHONPATH": str(REPO / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-X", "importtime", "-m", "pmrpipe", *words]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    names = [
        line.rpartition("|")[2].strip()
        for line in done.stderr.splitlines()
        if line.startswith("import time:")
    ]
    assert "pmrpipe.cli" in names
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {name.split(".")[0] for name in names}, seconds


VERBS = "cohort label-table score paper-table qc-table report apply register preprocess train"


@pytest.mark.parametrize("verb", ["--help", *VERBS.split()])
def test_help(verb, tmp_path):
    words = [verb] if verb == "--help" else [verb, "--help"]
    packages, seconds = started(words, tmp_path)
    assert not packages & (HEAVY | {"nibabel", "pandas", "scipy", "matplotlib"})
    assert seconds < LIMIT_SECONDS


@pytest.fixture
def study(tmp_path) -> str:
    """A study of two scans, as JSON."""
    for name in ("sub-A", "sub-B"):
        (tmp_path / "raw" / name / "anat").mkdir(parents=True)
        (tmp_path / "raw" / name / "anat" / f"{name}_T1w.nii.gz").touch()
    return json.dumps({"root": "raw", "results": "out", "cohort": "mine", "methods": ["affine"]})


def test_verbs_on_tables(study, tmp_path):
    """Each does its work, with neither images nor networks."""
    packages, seconds = started(["cohort", study], tmp_path)
    assert not packages & (HEAVY | {"nibabel", "pandas", "scipy", "matplotlib"})
    assert (tmp_path / "out" / "mine" / "pairs.tsv").exists()
    assert seconds < LIMIT_SECONDS
    measures = {"brain_ml": 1300, "border_percent": 0, "mask_dice": 0.95, "correlation": 0.6}
    for key in ("sub-A", "sub-B"):
        path = tmp_path / "out" / "mine" / "qc" / f"{key}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"key": key, **measures, "attempts": 1, "snr": 20}))
    packages, seconds = started(["qc-table", study], tmp_path)
    assert not packages & (HEAVY | {"nibabel", "scipy", "matplotlib"})
    assert (tmp_path / "out" / "mine" / "qc.tsv").exists()
    assert seconds < LIMIT_WITH_PANDAS
    packages, seconds = started(["methods"], tmp_path)
    assert not packages & (HEAVY | {"nibabel", "pandas", "scipy", "matplotlib"})
    assert seconds < LIMIT_SECONDS


def test_listing_labels_reads_images_without_ants(tmp_path, brain_dataset):
    dseg = brain_dataset / "sub-01" / "anat" / "sub-01_dseg.nii.gz"
    packages, _ = started(["label-table", "labels.tsv", str(dseg)], tmp_path)
    assert not packages & HEAVY
