"""The tables of the report: what the page shows and what is written as TSV."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pmrpipe.metrics import entries
from pmrpipe.metrics.finite import finite_mean
from pmrpipe.metrics.metric import Metric
from pmrpipe.metrics.tables import COMPARED, compared_column
from pmrpipe.stages.report.collect import MethodResult, Study
from pmrpipe.study.regions import ALL


@dataclass(frozen=True)
class Column:
    """A column of the summary: `best` is max, min or None (no order of merit).

    by_deforming : a method without deformation takes no part in who is best, it would always win
    """

    key: str
    title: str
    digits: int
    best: str | None = None
    unit: str = ""
    by_deforming: bool = False


@dataclass(frozen=True)
class Cell:
    """What is shown, what is sorted by, the interval below it, and whether it is the best."""

    text: str
    value: float | None = None
    interval: str = ""
    best: bool = False


MISSING = "–"


def number(value: float, digits: int) -> str:
    """A number with a fixed count of decimals; a dash where there is none.

    A positive number that would be shown as zero is shown as below the smallest one.
    """
    if value is None or not np.isfinite(value):
        return MISSING
    text = f"{value:.{digits}f}"
    if value > 0 and float(text) == 0:
        return f"<{10.0**-digits:.{digits}f}"
    return text


def summary_columns(study: Study) -> list[Column]:
    """The columns that the study has something for: metrics, seconds, uncertainty."""
    columns = [
        _column(metric, region)
        for metric in entries.METRICS
        if metric.page and (study.labelled or metric.needs != "labels")
        for region in ([ALL, *study.regions] if metric.by_region else [ALL])
    ]
    columns.append(Column("seconds", "Seconds", 1, "min", "s", by_deforming=True))
    if any(method.uncertainty is not None for method in study.methods):
        columns.append(Column("uncertainty_mm", "SD", 2, None, "mm"))
    return columns


def _column(metric: Metric, region: str) -> Column:
    title = metric.title
    if region != ALL:
        title = region.capitalize() if metric is entries.DICE else f"{title}, {region}"
    return Column(
        metric.column(region),
        title,
        metric.digits,
        metric.best,
        metric.unit,
        by_deforming=metric.needs == "field",
    )


def summary_frame(study: Study) -> pd.DataFrame:
    """One row per method: means over pairs, median seconds, pairs and subjects."""
    rows = []
    for method in study.methods:
        by_pair = method.scores.by_pair
        row: dict[str, object] = {"method": method.name}
        for column in summary_columns(study):
            row[column.key] = _mean(by_pair, column.key)
        row["seconds"] = float(np.median(method.seconds)) if method.seconds.size else np.nan
        if method.uncertainty is not None:
            row["uncertainty_mm"] = _mean(method.uncertainty, "sd_mean_mm")
        row["pairs"] = len(by_pair)
        rows.append(row)
    return pd.DataFrame(rows)


def overview(study: Study) -> pd.DataFrame:
    """overview.tsv: the summary's frame with the columns that were promised first in front."""
    frame = summary_frame(study)
    dice = ["dice", *(entries.DICE.column(name) for name in study.regions)]
    first = [name for name in ("method", *dice, *_OVERVIEW) if name in frame]
    return frame[list(dict.fromkeys([*first, *frame.columns]))]


_OVERVIEW = (
    "hd95_mm",
    "ncc",
    "folding_percent",
    "ndv_percent",
    "sdlogj",
    "seconds",
    "uncertainty_mm",
    "pairs",
)


def _mean(by_pair: pd.DataFrame, column: str) -> float:
    return finite_mean(by_pair[column]) if column in by_pair else float("nan")


def summary_cells(study: Study) -> list[tuple[MethodResult, list[Cell]]]:
    """The summary table, row by row, with intervals and best values marked."""
    frame, columns = summary_frame(study), summary_columns(study)
    best = {column.key: _best(study, frame, column) for column in columns}
    return [
        (
            method,
            [
                Cell(
                    number(frame.at[n, column.key], column.digits),
                    _finite(frame.at[n, column.key]),
                    _interval(study.summary, method.name, column.key),
                    n in best[column.key],
                )
                for column in columns
            ],
        )
        for n, method in enumerate(study.methods)
    ]


def _best(study: Study, frame: pd.DataFrame, column: Column) -> set[int]:
    """Rows with the best value as shown, ties included; where all are equal none is the best."""
    if column.best is None:
        return set()
    rows = [
        n
        for n, method in enumerate(study.methods)
        if np.isfinite(frame.at[n, column.key]) and (method.deforms or not column.by_deforming)
    ]
    shown = {n: round(frame.at[n, column.key], column.digits) for n in rows}
    if len(set(shown.values())) < 2:
        return set()
    target = (max if column.best == "max" else min)(shown.values())
    return {n for n, value in shown.items() if value == target}


def _interval(summary: pd.DataFrame, method: str, key: str) -> str:
    if not key.startswith("dice"):
        return ""
    region = key.removeprefix("dice").lstrip("_") or "all"
    rows = summary[(summary["method"] == method) & (summary["region"] == region)]
    if not len(rows) or not np.isfinite(rows[["dice_low", "dice_high"]].to_numpy(float)).all():
        return ""
    row = rows.iloc[0]
    return f"{row['dice_low']:.3f}–{row['dice_high']:.3f}"


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


@dataclass(frozen=True)
class Difference:
    """A paired difference, ready to show."""

    text: str
    value: float | None
    interval: str
    verdict: str


def comparison_rows(study: Study) -> list[dict[str, object]]:
    """Paired differences over all labels, ready to show; `differences` as `compared_metrics`."""
    table = study.comparison
    rows = [
        {
            "method": row["method"],
            "reference": row["reference"],
            "differences": [_difference(row, metric) for metric in compared_metrics(study)],
            "pairs": int(row["pairs"]),
            "subjects": int(row["subjects"]),
        }
        for row in table[table["region"] == ALL].to_dict("records")
    ]
    return [row for row in rows if any(one.value is not None for one in row["differences"])]


def compared_metrics(study: Study) -> list[Metric]:
    """The metrics that the comparison has a difference of; a table may be older than a metric."""
    return [
        metric
        for metric in entries.compared()
        if study.comparison.get(compared_column(metric.name, "difference"), _NONE).notna().any()
    ]


_NONE = pd.Series(dtype=float)


def _difference(row: Mapping[Hashable, Any], metric: Metric) -> Difference:
    value, low, high, verdict = (row[compared_column(metric.name, part)] for part in COMPARED)
    return Difference(
        _signed(value, metric.digits),
        _finite(value),
        _signed_interval(low, high, metric.digits),
        verdict if isinstance(verdict, str) else MISSING,
    )


def _signed_interval(low: float, high: float, digits: int) -> str:
    if not np.isfinite([low, high]).all():
        return MISSING
    return f"{_signed(low, digits)} to {_signed(high, digits)}"


def _signed(value: float, digits: int) -> str:
    return f"{value:+.{digits}f}".replace("-", "−") if np.isfinite(value) else MISSING


def label_frame(study: Study) -> pd.DataFrame:
    """Mean Dice of each label (rows) by method (columns), with name and region."""
    parts = []
    for method in study.methods:
        table = method.scores.by_label
        if len(table):
            keys = ["label", "name", "region"]
            table = table.assign(region=table["region"].fillna("n/a"))
            parts.append(table.groupby(keys, sort=True)["dice"].mean().rename(method.name))
    if not parts:
        return pd.DataFrame()
    return pd.concat(parts, axis=1).reset_index()
