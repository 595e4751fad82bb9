"""qc.tsv: the measures of every scan of a cohort, outliers marked."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from pmrpipe.base.files import read_json, write_tsv
from pmrpipe.stages.qc.measures import judged
from pmrpipe.study.paths import Results


def write_qc_table(out: Path, results: Results, keys: Iterable[str]) -> pd.DataFrame:
    """Gather the measures of `keys` and write them; the table that was written."""
    rows = [read_json(results.qc_measures(key)) for key in keys]
    table = pd.DataFrame(rows)
    if "correlation" not in table:  # A promised column, which no other contrast than T1w has.
        table.insert(table.columns.get_loc("mask_dice") + 1, "correlation", float("nan"))
    table = _appended(judged(table), ("correlation_ratio", "cover"))
    write_tsv(out, table)
    return table


def _appended(table: pd.DataFrame, later: tuple[str, ...]) -> pd.DataFrame:
    """Columns that came later at the end, with their doubts: the others keep their places."""
    names = [name for key in later for name in (key, f"doubt_{key}") if name in table]
    return table[[name for name in table if name not in names] + names]
