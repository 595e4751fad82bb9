"""A label table to edit, from the numbers that some label maps hold."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from pmrpipe.base.files import write_tsv
from pmrpipe.images.volume import read_labels


def write_label_table(out: Path, maps: Iterable[Path], orientation: str | None = None) -> int:
    """Write one row for each number above 0, all of them scored; how many there are."""
    numbers: set[int] = set()
    for path in maps:
        numbers |= set(np.unique(read_labels(path, orientation).data).tolist())
    index = sorted(numbers - {0})
    table = pd.DataFrame({"index": index, "name": [f"label {n}" for n in index]})
    write_tsv(out, table.assign(region=np.nan, scored=1))
    return len(index)
