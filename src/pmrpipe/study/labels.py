"""Label tables: index, name, region, scored; and what other programs write in their place."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files as package_files
from pathlib import Path
from typing import TYPE_CHECKING

from pmrpipe.base.errors import InputError
from pmrpipe.study.label_formats import Label, read_labels_of

if TYPE_CHECKING:
    import pandas as pd

REGIONS = (
    "frontal", "parietal", "occipital", "temporal", "cingulate", "putamen", "hippocampus"
)  # fmt: skip
COLUMNS = ("index", "name", "region", "scored")


def label_table_path(name: str) -> Path:
    """Path of a shipped table (`malf`, `embedded` ...) or of the user's own file."""
    shipped = Path(str(package_files("pmrpipe") / "data" / "labels" / f"{name}.tsv"))
    path = shipped if shipped.exists() else Path(name).expanduser()
    if not path.exists():
        known = ", ".join(sorted(item.stem for item in shipped.parent.glob("*.tsv")))
        raise InputError(name, "is neither a label table of pmrpipe nor a file", f"known: {known}")
    return path


def labels_of(name: str) -> list[Label]:
    """The labels of a table, without pandas, which is slow to import; the background left out.

    Raises
    ------
    InputError : no such table; none of the formats of `label_formats`; an index that is negative,
        no number or stands twice; `scored` that is neither yes nor no; no label at all
    """
    path = label_table_path(name)
    labels = [label for label in read_labels_of(path) if label.index != 0]
    if not labels:
        raise InputError(path, "lists no label", "write one row for each, its index above 0")
    seen: set[int] = set()
    for label in labels:
        if label.index in seen:
            problem = f"index {label.index} stands twice"
            raise InputError(path, problem, "keep one row for each label")
        seen.add(label.index)
    return labels


def read_label_table(name: str) -> pd.DataFrame:
    """The columns index, name, region (NaN in none), scored (bool), one row a label.

    Raises
    ------
    InputError : as `labels_of`
    """
    import pandas as pd

    labels = labels_of(name)
    columns = {column: [getattr(label, column) for label in labels] for column in COLUMNS}
    columns["region"] = pd.Series(columns["region"], dtype=object).where(
        pd.notna(columns["region"]), float("nan")
    )
    return pd.DataFrame(columns)


def scored_labels(name: str | None) -> list[int]:
    """Numbers of the scored labels, ascending; empty without a table."""
    return [] if name is None else sorted(label.index for label in labels_of(name) if label.scored)


def require_own_table(
    dseg: Path, numbers: Iterable[int], known: Iterable[int], table: str
) -> set[int]:
    """The numbers of a label map, but 0, that its table lacks.

    Raises
    ------
    InputError : these are more than half of them: the table belongs to other maps
    """
    present = {*numbers} - {0}
    unlisted = present - {*known}
    if 2 * len(unlisted) > len(present):
        problem = f"has {len(unlisted)} labels that {table} lacks, such as {min(unlisted)}"
        raise InputError(dseg, problem, "give its own table by --label-table")
    return unlisted


def is_own_listing(path: Path) -> bool:
    """Whether a file is a label table as `pmrpipe label-table` writes it, edited by nobody."""
    try:
        labels = read_labels_of(path)
        head = path.read_text(encoding="utf-8").splitlines()[0]
    except (InputError, OSError, UnicodeDecodeError, IndexError):
        return False
    plain = all(la.name == f"label {la.index}" and la.region is None and la.scored for la in labels)
    return plain and head.split("\t") == list(COLUMNS)
