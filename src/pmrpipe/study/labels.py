"""Label tables: index, name, region, scored."""

from __future__ import annotations

from importlib.resources import files as package_files
from pathlib import Path
from typing import TYPE_CHECKING

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_tsv

if TYPE_CHECKING:
    import pandas as pd

REGIONS = (
    "frontal", "parietal", "occipital", "temporal", "cingulate", "putamen", "hippocampus"
)  # fmt: skip
COLUMNS = ("index", "name", "region", "scored")


def label_table_path(name: str) -> Path:
    """Path of a shipped table (`malf`, `embedded` ...) or of the user's own TSV."""
    shipped = Path(str(package_files("pmrpipe") / "data" / "labels" / f"{name}.tsv"))
    path = shipped if shipped.exists() else Path(name).expanduser()
    if not path.exists():
        known = ", ".join(sorted(item.stem for item in shipped.parent.glob("*.tsv")))
        raise InputError(name, "is neither a label table of pmrpipe nor a file", f"known: {known}")
    return path


def read_label_table(name: str) -> pd.DataFrame:
    """The columns index, name, region (NaN in none), scored (bool), one row a label.

    Raises
    ------
    InputError : no such table, a column is missing, an index is 0, negative or stands twice
    """
    path = label_table_path(name)
    table = read_tsv(path, required=COLUMNS)[list(COLUMNS)]
    index = table["index"]
    if not len(table) or index.dtype.kind != "i" or (index <= 0).any():
        raise InputError(path, "column index must hold whole numbers above 0")
    if index.duplicated().any():
        twice = index[index.duplicated()].iloc[0]
        raise InputError(path, f"index {twice} stands twice", "keep one row for each label")
    return table.assign(scored=table["scored"].astype(int) == 1)


def scored_labels(name: str | None) -> list[int]:
    """Numbers of the scored labels, ascending; empty without a table."""
    if name is None:
        return []
    table = read_label_table(name)
    return sorted(int(n) for n in table.loc[table["scored"], "index"])
