"""What whoever runs the workflow is told, at its start and at its end, beside the report."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

_MISSING = "n/a"


def doubtful(qc: Path) -> Iterator[str]:
    """One line for each scan of qc.tsv that a person should look at; none without the table."""
    if not qc.exists():
        return
    with open(qc, encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle, delimiter="\t"):
            if row.get("outlier", _MISSING) not in (_MISSING, "", None):
                yield f"look at {qc.parent / row['key']}.html: {row['outlier']}"
