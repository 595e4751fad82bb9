"""What a score table was made with: a JSON file beside it, and when two tables may be compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pmrpipe.base.errors import InputError
from pmrpipe.study.regions import region_labels, scored_labels
from pmrpipe.study.space import DEFAULT_SPACE

if TYPE_CHECKING:
    import pandas as pd

    from pmrpipe.images.volume import Grid

# Tables that differ in one of these answer different questions.
COMPARED = ("interpolation", "labels", "regions", "split", "space", "grid")


def sidecar(
    label_table: pd.DataFrame | None,
    grid: Grid,
    *,
    interpolation: str | None = None,
    split: Mapping[str, list[str]] | None = None,
    space: str = DEFAULT_SPACE,
    **extra: Any,
) -> dict[str, Any]:
    """Describe a score table.

    Parameters
    ----------
    label_table : columns index, name, region, scored; None for a cohort without labels
    grid : where the maps were compared
    interpolation : how labels were warped, for example "nearest"
    split : role ("train", "validation", "test") to subjects
    space : name of the space of the grid
    extra : further JSON values, recorded but not compared
    """
    return {
        "interpolation": interpolation,
        "labels": None if label_table is None else scored_labels(label_table).tolist(),
        "labels_sha256": None if label_table is None else label_digest(label_table),
        "regions": None if label_table is None else _regions(label_table),
        "split": {role: sorted(names) for role, names in sorted((split or {}).items())},
        "space": space,
        "grid": {
            "shape": list(grid.shape),
            "affine": [[round(float(value), 6) for value in row] for row in grid.affine],
        },
        **extra,
    }


def label_digest(label_table: pd.DataFrame) -> str:
    """SHA-256 of the label table's promised columns, rows sorted by label number."""
    columns = label_table[["index", "name", "region", "scored"]].sort_values("index")
    rows = columns.assign(scored=columns["scored"].astype(int)).astype(str)
    text = json.dumps(rows.to_numpy().tolist(), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _regions(label_table: pd.DataFrame) -> dict[str, list[int]]:
    return {name: labels.tolist() for name, labels in region_labels(label_table).items()}


def require_comparable(sidecars: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise InputError unless all tables were made in one way.

    Parameters
    ----------
    sidecars : name of a table (its file or method) to its sidecar

    Raises
    ------
    InputError : names the two tables, the key and how they differ
    """
    (first, reference), *others = sidecars.items()
    for name, other in others:
        for key in COMPARED:
            if _value(reference, key) != _value(other, key):
                problem = f"{key} differs from {first}: {_contrast(reference, other, key)}"
                remedy = "score both in the same way before comparing them"
                raise InputError(name, problem, remedy)


def _value(sidecar: Mapping[str, Any], key: str) -> Any:
    # Sidecars written when there was one space alone do not name it.
    return sidecar.get(key, DEFAULT_SPACE if key == "space" else None)


def _contrast(reference: Mapping[str, Any], other: Mapping[str, Any], key: str) -> str:
    mine, theirs = _value(other, key), _value(reference, key)
    if isinstance(mine, list) and isinstance(theirs, list):
        return _only("this table", mine, theirs) + _only("the other", theirs, mine)
    if isinstance(mine, dict) and isinstance(theirs, dict):
        inner = sorted(k for k in {*mine, *theirs} if mine.get(k) != theirs.get(k))
        return f"in {', '.join(inner)} " + _contrast(theirs, mine, inner[0])
    return f"{_short(mine)} here, {_short(theirs)} there"


def _only(where: str, mine: list[Any], theirs: list[Any]) -> str:
    extra = [value for value in mine if value not in theirs]
    return f"only {where} has {_short(extra)}. " if extra else ""


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else text[:117] + "..."
