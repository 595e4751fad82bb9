"""What whoever runs the workflow is told, at its start and at its end, beside the report."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pmrpipe.study.keys import pair_name
from pmrpipe.study.paths import Results

_MISSING = ("n/a", "", None)
_SHOWN = 20


def doubtful(results: Results, methods: Iterable[str]) -> Iterator[str]:
    """One line for each scan of qc.tsv and each pair of by_pair.tsv that a person should look at.

    Tables that are missing say nothing; of each table the first twenty lines are shown.
    """
    yield from _first(_doubtful_scans(results.qc), results.qc)
    for method in methods:
        table = results.score(method) / "by_pair.tsv"
        yield from _first(_doubtful_pairs(table, method), table)


def _doubtful_scans(qc: Path) -> Iterator[str]:
    for row in _rows(qc):
        if row.get("outlier") not in _MISSING:
            yield f"look at {qc.parent / row['key']}.html: {row['outlier']}"


def _doubtful_pairs(table: Path, method: str) -> Iterator[str]:
    for row in _rows(table):
        if row.get("doubts") not in _MISSING:
            pair = pair_name(row["moving"], row["fixed"])
            yield f"look at {method} {pair}: {row['doubts']} ({table})"


def _rows(table: Path) -> Iterator[Mapping[str, str]]:
    if table.exists():
        with open(table, encoding="utf-8", newline="") as handle:
            yield from csv.DictReader(handle, delimiter="\t")


def _first(lines: Iterator[str], table: Path) -> Iterator[str]:
    for number, line in enumerate(lines):
        if number < _SHOWN:
            yield line
        elif number == _SHOWN:
            yield f"look at {table}: there are more"
