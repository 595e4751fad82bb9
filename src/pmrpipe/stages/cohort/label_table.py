"""The labels of some label maps as a table for a person to edit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import write_rows
from pmrpipe.base.outputs import require_no_input
from pmrpipe.images.volume import read_labels
from pmrpipe.study.labels import COLUMNS, is_own_listing


def write_label_table(
    out: Path, maps: Sequence[Path], orientation: str | None = None, *, overwrite: bool = False
) -> int:
    """Write the table of all labels in `maps`, to be given names and regions; their number.

    Parameters
    ----------
    overwrite : replace a file that is no such table, or that somebody has edited

    Raises
    ------
    InputError : `out` is one of the maps, or is there and not `overwrite`; an unreadable map
    """
    require_no_input(out, maps, "name the table to write first, then the maps")
    if out.exists() and not (overwrite or is_own_listing(out)):
        problem = "is there already and is no table that this command wrote"
        raise InputError(out, problem, "the table to write comes first; or add --overwrite")
    numbers: set[int] = set()
    for path in maps:
        numbers |= set(np.unique(read_labels(path, orientation).data).tolist())
    index = sorted(numbers - {0})
    rows = ({"index": n, "name": f"label {n}", "scored": 1} for n in index)
    write_rows(out, COLUMNS, rows)
    return len(index)
