"""Which labels are scored, and the regions they form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pmrpipe.study.labels import REGIONS

if TYPE_CHECKING:
    import pandas as pd

ALL = "all"


def scored_rows(label_table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the label table that count, ascending by label number; background never does."""
    keep = (label_table["scored"].astype(int) == 1) & (label_table["index"].astype(int) > 0)
    return label_table[keep].drop_duplicates("index").sort_values("index", ignore_index=True)


def scored_labels(label_table: pd.DataFrame) -> np.ndarray:
    """Label numbers that are scored, ascending, int64."""
    return scored_rows(label_table)["index"].to_numpy(np.int64)


def region_labels(label_table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Region to its scored label numbers, the paper's regions first."""
    rows = scored_rows(label_table)
    names = [str(name) for name in rows["region"] if _is_region(name)]
    ordered = [name for name in REGIONS if name in names]
    ordered += [name for name in dict.fromkeys(names) if name not in ordered]
    regions = rows["region"].astype(str)
    return {name: rows.loc[regions == name, "index"].to_numpy(np.int64) for name in ordered}


def _is_region(name: object) -> bool:
    return isinstance(name, str) and name not in ("", "n/a", "nan")
