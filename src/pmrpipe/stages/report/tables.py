"""The tables of the report: what the page shows and what is written as TSV."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pmrpipe.stages.report.collect import MethodResult, Study


@dataclass(frozen=True)
class Column:
    """A column of the summary: `best` is max, min or None (no order of merit)."""

    key: str
    title: str
    digits: int
    best: str | None = None
    unit: str = ""


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
    """The columns that the study has something for."""
    dice = [Column("dice", "Dice", 3, "max")]
    dice += [Column(f"dice_{name}", name.capitalize(), 3, "max") for name in study.regions]
    dice.append(Column("hd95_mm", "HD95", 2, "min", "mm"))
    rest = [
        Column("ncc", "NCC", 3, "max"),
        Column("folding_percent", "Folding", 4, "min", "%"),
        Column("ndv_percent", "NDV", 4, "min", "%"),
        Column("sdlogj", "SDlogJ", 3),
        Column("seconds", "Seconds", 1, "min", "s"),
    ]
    if any(method.uncertainty is not None for method in study.methods):
        rest.append(Column("uncertainty_mm", "SD", 2, None, "mm"))
    return [*(dice if study.labelled else []), *rest]


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


def _mean(by_pair: pd.DataFrame, column: str) -> float:
    values = by_pair[column].to_numpy(float) if column in by_pair else np.zeros(0)
    values = values[np.isfinite(values)]
    return float(values.mean()) if values.size else float("nan")


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
    """Rows with the best value as shown, ties included; where all are equal none is the best.

    The method without deformation is left out of folding and time: it would always win.
    """
    if column.best is None:
        return set()
    undisputed = column.key in ("folding_percent", "ndv_percent", "seconds")
    rows = [
        n
        for n, method in enumerate(study.methods)
        if np.isfinite(frame.at[n, column.key]) and (method.deforms or not undisputed)
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


def comparison_rows(study: Study) -> list[dict[str, object]]:
    """Paired differences over all labels, ready to show."""
    table = study.comparison
    if not study.labelled or not len(table):
        return []
    return [
        {
            "method": row.method,
            "reference": row.reference,
            "difference": _signed(row.difference),
            "value": float(row.difference),
            "interval": _signed_interval(row.low, row.high),
            "pairs": int(row.pairs),
            "subjects": int(row.subjects),
            "verdict": row.significant if isinstance(row.significant, str) else MISSING,
        }
        for row in table[table["region"] == "all"].itertuples()
        if np.isfinite(row.difference)
    ]


def _signed_interval(low: float, high: float) -> str:
    known = np.isfinite([low, high]).all()
    return f"{_signed(low)} to {_signed(high)}" if known else MISSING


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


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
