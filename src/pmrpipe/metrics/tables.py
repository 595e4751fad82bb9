"""Score tables: their columns, and writing and reading them with their sidecar.

Every table but timing.tsv is reproducible to the byte; columns are only ever appended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pmrpipe.base.files import read_json, read_tsv, write_json, write_tsv
from pmrpipe.metrics import entries
from pmrpipe.study.regions import ALL

BY_LABEL = (
    "moving",
    "fixed",
    "label",
    "name",
    "region",
    "dice",
    "target_overlap",
    "hd95_mm",
    "msd_mm",
    "n_fixed",
    "n_warped",
)
TIMING = ("moving", "fixed", "seconds", "device", "threads", "network_mm")
# Columns promised first, in places that they keep; every other metric is appended behind them.
_BY_PAIR_BEFORE_REGIONS = ("moving", "fixed", "dice")
_BY_PAIR_AFTER_REGIONS = (
    "hd95_mm",
    "folding_percent",
    "ndv_percent",
    "sdlogj",
    "ncc",
    "interpolation",
    "inverse_consistency_mm",
)
# Promised later: an older table may lack them.
_BY_PAIR_LATER = ("strain", "strain_volume", "strain_shear", "doubts")
SUMMARY = (
    "method",
    "region",
    "dice_mean",
    "dice_sd",
    "dice_median",
    "dice_low",
    "dice_high",
    "pairs",
    "subjects",
    "folding_percent",
    "ndv_percent",
    "sdlogj",
    "seconds_median",
    "hd95_mm",
    "inverse_consistency_mm",
)
COMPARISON = (
    "method",
    "reference",
    "region",
    "difference",
    "low",
    "high",
    "pairs",
    "subjects",
    "significant",
)
# What comparison.tsv says of each metric.
COMPARED = ("difference", "low", "high", "significant")


def by_pair_columns(regions: Iterable[str] = ()) -> list[str]:
    """Columns of by_pair.tsv for a label table with these regions."""
    regions = list(regions)
    first = [
        *_BY_PAIR_BEFORE_REGIONS,
        *(f"dice_{name}" for name in regions),
        *_BY_PAIR_AFTER_REGIONS,
    ]
    every = [m.column(name) for m in entries.METRICS for name in (ALL, *regions)]
    return list(dict.fromkeys([*first, *_BY_PAIR_LATER, *every]))


def summary_columns() -> list[str]:
    """Columns of summary.tsv; Dice has several of its own."""
    means = [metric.name for metric in entries.METRICS if metric.name != "dice"]
    return list(dict.fromkeys([*SUMMARY, *means]))


def comparison_columns() -> list[str]:
    """Columns of comparison.tsv; those of Dice have no prefix."""
    parts = [compared_column(m.name, part) for m in entries.compared() for part in COMPARED]
    return list(dict.fromkeys([*COMPARISON, *parts]))


def compared_column(metric: str, part: str) -> str:
    """The column of comparison.tsv for a part (difference, low, high, significant) of a metric."""
    return part if metric == "dice" else f"{metric}_{part}"


def regions_of(by_pair: pd.DataFrame) -> list[str]:
    """The regions that a by_pair table has columns for, in their order."""
    return [name[len("dice_") :] for name in by_pair.columns if name.startswith("dice_")]


@dataclass(frozen=True)
class MethodScores:
    """The tables of one method; `timing` may be missing, `by_label` may have no row."""

    by_label: pd.DataFrame
    by_pair: pd.DataFrame
    timing: pd.DataFrame | None = None
    sidecar: dict[str, Any] | None = None


def by_label_table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """by_label rows in their promised columns and order."""
    table = pd.DataFrame(list(rows), columns=list(BY_LABEL))
    return table.sort_values(["moving", "fixed", "label"], ignore_index=True)


def by_pair_table(rows: Sequence[Mapping[str, Any]], regions: Iterable[str] = ()) -> pd.DataFrame:
    """by_pair rows in their promised columns and order."""
    table = pd.DataFrame(list(rows), columns=by_pair_columns(regions))
    return table.sort_values(["moving", "fixed"], ignore_index=True)


def timing_table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """timing rows in their promised columns and order."""
    table = pd.DataFrame(list(rows), columns=list(TIMING))
    return table.sort_values(["moving", "fixed"], ignore_index=True)


def write_scores(folder: Path, scores: MethodScores) -> None:
    """Write by_label.tsv, by_pair.tsv and, where there is one, timing.tsv, with sidecars."""
    write_table(folder / "by_label.tsv", scores.by_label, scores.sidecar)
    write_table(folder / "by_pair.tsv", scores.by_pair, scores.sidecar)
    if scores.timing is not None:
        write_tsv(folder / "timing.tsv", scores.timing)


def write_table(path: Path, table: pd.DataFrame, sidecar: Mapping[str, Any] | None = None) -> None:
    """Write a table and its sidecar, the same name with .json."""
    if sidecar is not None:
        write_json(path.with_suffix(".json"), dict(sidecar))
    write_tsv(path, table)


def read_scores(folder: Path) -> MethodScores:
    """Read a method's tables; a metric that came after they were written is NaN in them.

    Raises
    ------
    InputError : a table is missing or lacks a column that was promised first
    """
    by_label = read_tsv(folder / "by_label.tsv", BY_LABEL)
    first = (*_BY_PAIR_BEFORE_REGIONS, *_BY_PAIR_AFTER_REGIONS)
    by_pair = read_tsv(folder / "by_pair.tsv", first)
    columns = [*by_pair_columns(regions_of(by_pair)), *by_pair.columns]
    by_pair = by_pair.reindex(columns=list(dict.fromkeys(columns)))
    timing, sidecar = folder / "timing.tsv", folder / "by_pair.json"
    return MethodScores(
        by_label,
        by_pair,
        read_tsv(timing, ("moving", "fixed", "seconds")) if timing.exists() else None,
        read_json(sidecar) if sidecar.exists() else None,
    )


def concatenate(parts: Sequence[MethodScores]) -> MethodScores:
    """The tables of several batches of one method as one, rows sorted.

    Raises
    ------
    InputError : the batches were scored in different ways
    """
    from pmrpipe.metrics.sidecar import require_comparable

    described = {f"batch {n}": part.sidecar for n, part in enumerate(parts) if part.sidecar}
    if len(described) > 1:
        require_comparable(described)
    timings = [part.timing for part in parts if part.timing is not None]
    return MethodScores(
        _stack([part.by_label for part in parts], ["moving", "fixed", "label"]),
        _stack([part.by_pair for part in parts], ["moving", "fixed"]),
        _stack(timings, ["moving", "fixed"]) if timings else None,
        next(iter(described.values()), None),
    )


def _stack(tables: Sequence[pd.DataFrame], keys: list[str]) -> pd.DataFrame:
    # An empty table has columns without type; concatenated, it would turn integers to floats.
    filled = [table for table in tables if len(table)] or list(tables[:1])
    stacked = pd.concat(filled, ignore_index=True)
    return stacked.drop_duplicates(keys).sort_values(keys, ignore_index=True)
