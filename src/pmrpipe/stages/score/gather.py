"""The tables of a method from those of its jobs, and the summary of all methods."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pmrpipe.base.files import read_tsv, write_tsv
from pmrpipe.metrics.summary import compare, over_seeds, summarise
from pmrpipe.metrics.tables import concatenate, read_scores, write_scores
from pmrpipe.study.paths import SEED_MARK, Results


def gather(
    results: Results, method: str, batches: Iterable[str], cohort: Path | None = None
) -> None:
    """Write a method's tables from those of its jobs.

    Parameters
    ----------
    cohort : cohort.tsv, whose splits go into the tables' sidecars
    """
    scores = concatenate([read_scores(results.scored(method, name)) for name in batches])
    if cohort and scores.sidecar:
        scores.sidecar["split"] = _split(cohort)
    write_scores(results.score(method), scores)


def write_summary(results: Results, methods: Iterable[str]) -> None:
    """Write comparison.tsv, seeds.tsv where there are several, and summary.tsv."""
    scores = {name: read_scores(results.score(name)) for name in methods}
    summary = summarise(scores)
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
