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
    table = judged(pd.DataFrame(rows))
    write_tsv(out, table)
    return table
