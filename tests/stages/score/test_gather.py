"""The tables of a method from those of its jobs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pmrpipe.base.files import read_tsv
from pmrpipe.cli import main
from pmrpipe.metrics import tables
from pmrpipe.study.paths import Results

SCANS = [f"sub-{n}" for n in range(1, 6)]


def write_batches(results: Results) -> None:
    """Twenty pairs in two jobs; one of them far less alike than the others."""
    pairs = [(m, f) for m in SCANS for f in SCANS if m != f]
    rows = [{"moving": m, "fixed": f, "ncc": 0.9} for m, f in pairs]
    rows[7]["ncc"] = 0.6
    rows[3]["doubts"] = "the map folds"
    for name, part in (("1of2", rows[:10]), ("2of2", rows[10:])):
        timing = [{"moving": r["moving"], "fixed": r["fixed"], "seconds": 1.0} for r in part]
        scores = tables.MethodScores(
            tables.by_label_table([]), tables.by_pair_table(part), tables.timing_table(timing)
        )
        tables.write_scores(results.scored("pmr", name), scores)


def test_doubts_of_pairs_and_outliers_among_them_are_written_and_told(tmp_path: Path, capsys):
    results = Results(tmp_path)
    write_batches(results)
    words = ["score", str(tmp_path), "--method", "pmr", "--batches", "1of2", "2of2"]
    assert main(words) == 0
    doubts = read_tsv(results.score("pmr") / "by_pair.tsv")["doubts"]
    assert doubts[3] == "the map folds"
    assert doubts[7].startswith("NCC 0.600 is far below")
    assert doubts.drop([3, 7]).isna().all()
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert said[0] == "warning: pmr sub-1_to_sub-5: the map folds"
    assert len(said) == 2
    again = pd.read_csv(results.score("pmr") / "by_pair.tsv", sep="\t")
    assert main(words) == 0
    pd.testing.assert_frame_equal(
        pd.read_csv(results.score("pmr") / "by_pair.tsv", sep="\t"), again
    )
