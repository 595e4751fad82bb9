"""The tables of a method from those of its jobs, and the summary of all methods."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pmrpipe.base.files import read_tsv, write_tsv
from pmrpipe.metrics.judgement import outliers
from pmrpipe.metrics.summary import compare, over_seeds, summarise
from pmrpipe.metrics.tables import concatenate, read_scores, write_scores
from pmrpipe.study.keys import SEED_MARK, pair_name
from pmrpipe.study.paths import Results

if TYPE_CHECKING:
    import pandas as pd

# What is made of a summary, and says nothing of its age.
_PAPER_TABLES = [
    f"{t}{e}" for t in ("table1", "table2", "ablation") for e in (".tsv", ".md", ".tex")
]
_OF_SUMMARY = ("seeds.tsv", *_PAPER_TABLES)


def gather(
    results: Results, method: str, batches: Iterable[str], cohort: Path | None = None
) -> list[str]:
    """Write a method's tables from those of its jobs; what is doubtful, one sentence a pair.

    Parameters
    ----------
    cohort : cohort.tsv, whose splits go into the tables' sidecars
    """
    scores = concatenate([read_scores(results.scored(method, name)) for name in batches])
    if cohort and scores.sidecar:
        scores.sidecar["split"] = _split(cohort)
    by_pair = scores.by_pair.assign(doubts=_with_outliers(scores.by_pair))
    write_scores(results.score(method), replace(scores, by_pair=by_pair))
    known = by_pair.dropna(subset="doubts")[["moving", "fixed", "doubts"]]
    return [f"{pair_name(moving, fixed)}: {why}" for moving, fixed, why in known.to_numpy()]


def _with_outliers(by_pair: pd.DataFrame) -> list[str | None]:
    """The doubts of each pair alone, and beside them whether it stands out among all."""
    alone = by_pair["doubts"].astype(object).where(by_pair["doubts"].notna(), "")
    among = outliers(by_pair["ncc"].to_numpy(float))
    return ["; ".join(filter(None, both)) or None for both in zip(alone, among, strict=True)]


def write_summary(results: Results, methods: Iterable[str]) -> None:
    """Write comparison.tsv, seeds.tsv where there are several, and summary.tsv.

    Tables made of an earlier summary go: the workflow writes them again when it is asked for them.
    """
    scores = {name: read_scores(results.score(name)) for name in methods}
    summary = summarise(scores)
    for name in _OF_SUMMARY:
        results.summary.with_name(name).unlink(missing_ok=True)
    write_tsv(results.summary.with_name("comparison.tsv"), compare(scores))
    if any(SEED_MARK in name for name in scores):
        write_tsv(results.summary.with_name("seeds.tsv"), over_seeds(summary))
    write_tsv(results.summary, summary)


def _split(path: Path) -> dict[str, list[str]]:
    """Subjects of each split, from cohort.tsv."""
    scans = read_tsv(path, required=("subject", "split"))
    return {
        role: sorted(set(scans.loc[scans["split"] == role, "subject"]))
        for role in ("train", "validation", "test")
        if (scans["split"] == role).any()
    }
