"""Scores and the fields that they come from: none is invented, and they go when asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pmrpipe.base.files import read_tsv, write_text
from pmrpipe.cli import main
from pmrpipe.images.transforms import write_field
from pmrpipe.images.volume import Grid, write_volume
from pmrpipe.study.paths import Results

PAIR = ("sub-01", "sub-02")
GRID = Grid((9, 10, 11), np.diag([2.0, 2.0, 2.0, 1.0]))


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """A pair registered by `syn`, its field not yet written."""
    results = Results(tmp_path / "results", 2.0)
    image = np.random.default_rng(0).random(GRID.shape).astype(np.float32) + 0.1
    for key in PAIR:
        write_volume(results.preproc(key), image, GRID.affine)
    write_volume(results.warped("syn", *PAIR), image, GRID.affine)
    listed = "moving\tfixed\tseconds\tinverse_consistency_mm\nsub-01\tsub-02\t1.0\t0.1\n"
    write_text(results.registered("syn", "0001of0001"), listed)
    return results


def score(results: Results, *words: str) -> int:
    listed = results.registered("syn", "0001of0001")
    out = results.root / "out"
    named = ["--method", "syn", "--mm", "2"]
    return main(["score-pairs", str(results.root), str(listed), str(out), *named, *words])


def test_a_missing_field_is_not_the_identity(results: Results, capsys) -> None:
    assert score(results) == 2
    assert "xfm.nii.gz: no such file" in capsys.readouterr().err
    assert not (results.root / "out").exists()


@pytest.mark.parametrize("discard", [False, True])
def test_fields_go_with_their_list_when_asked(results: Results, discard: bool) -> None:
    field = np.random.default_rng(1).normal(0, 0.1, (*GRID.shape, 3)).astype(np.float32)
    write_field(results.field("syn", *PAIR), field, GRID)
    assert score(results, *["--discard-fields"] * discard) == 0
    assert read_tsv(results.root / "out" / "by_pair.tsv")["sdlogj"][0] > 0
    assert results.field("syn", *PAIR).exists() is not discard
    assert results.registered("syn", "0001of0001").exists() is not discard
