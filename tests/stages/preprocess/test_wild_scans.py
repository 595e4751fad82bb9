"""Corrupted scans end in one line, and leave nothing behind."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from pmrpipe.cli import main
from pmrpipe.stages.cohort.embedded import simulate_subject
from tests.helpers.wild.names import t1w, truth
from tests.helpers.wild.scans import DAMAGES, Files

KEY = "sub-01"
REFUSED = (
    *("no form at all", "NaN in the affine", "voxels of no size", "two volumes", "one slice"),
    *("colours", "an unknown type", "no dimensions", "dimensions that the data lack", "no magic"),
    *("cut short", "no gzip", "empty", "a page of a login", "a folder in place of the file"),
    *("complex", "one NaN", "infinity", "zero alone", "constant", "sheared"),
    *("micrometres in the affine", "metres in the affine", "mask of three values"),
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    simulate_subject(root, 1, 6.0, 5)
    return root


@pytest.mark.parametrize("name", REFUSED)
def test_a_corrupted_scan_is_refused_in_one_line(dataset, tmp_path, capsys, name):
    root, results = shutil.copytree(dataset, tmp_path / "data"), tmp_path / "results"
    scan, mask = t1w(root, KEY), truth(root, KEY, "desc-brain_mask")
    DAMAGES[name](Files(scan, mask, truth(root, KEY, "dseg")), np.random.default_rng(0))
    words = ["preprocess", scan, results, "--key", KEY, "--mm", 8, "--method", "mask"]
    assert main([str(word) for word in [*words, "--mask", mask]]) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("pmrpipe preprocess: error: ")
    assert (mask if "mask" in name else scan).name in line
    assert "unexpected" not in line
    assert not list(results.glob("sub-*"))
