"""What a study says of methods beside their reference: five tables, each with a sidecar.

Source of what is shown: Yang, Kwitt, Styner, Niethammer, NeuroImage 158 (2017) 378-396.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from pmrpipe.base.files import read_tsv
from pmrpipe.metrics.reference import (
    BINS,
    ERROR,
    PERCENTILES,
    percentile_column,
)
from pmrpipe.metrics.tables import MethodScores, read_scores, write_table
from pmrpipe.stages.score.published_overlap import PAIRS, PUBLISHED
from pmrpipe.stages.score.reference_pairs import COUNTS, ERRORS
from pmrpipe.study.options.scoring import Referring
from pmrpipe.study.paths import Results

_PAIR = ["moving", "fixed"]
_ROW = ["method", "reference", "kind"]
_SIDECARS: dict[str, dict[str, Any]] = {
    "errors_by_pair": {
        "Description": "Distance between a method's map and its reference's over the voxels of "
        "the fixed brain, of each pair: mean and percentiles",
        "Units": "mm",
        "Kinds": "image-to-image; atlas-to-image: the template moves; image-to-atlas: it is fixed",
    },
    "errors": {
        "Description": "The same over the voxels of all pairs of a kind together",
        "Units": "mm",
        "Resolution": f"percentiles are exact to {BINS[ERROR].width:g} mm",
    },
    "jacobians": {
        "Description": "Histograms over the voxels of the fixed brains of all pairs of a kind: "
        "log10 det J of the method and of the reference, and their difference",
        "Units": "percent of the voxels, in classes from `low` to `high`",
        "Ends": "the first class has all below too, folds among them; the last all above",
    },
    "overlap": {
        "Description": "Target overlap of each pair, |W and T| / |T|, mean over the scored labels "
        "that the fixed scan has",
    },
    "overlap_summary": {
        "Description": "The same over the pairs; beside a reference, in how many percent of the "
        "pairs the method has no less. Published rows are of the cohort of this name",
    },
    "times": {
        "Description": "Seconds a pair, images in memory to map in memory, by device and threads",
        "Units": "seconds; share_percent: of the reference's median on the same pairs",
    },
}


def write_tables(results: Results, options: Referring) -> None:
    """Write the tables to `results.beside_reference`.

    Raises
    ------
    InputError : a table of a job or of a method is missing or broken
    """
    scores = {name: read_scores(results.score(name)) for name in options.methods}
    folders = [results.beside_reference / "jobs" / job for job in options.jobs]
    read = partial(_joined, folders)
    errors = read(ERRORS, (*_ROW, *_PAIR)).sort_values([*_ROW, *_PAIR], ignore_index=True)
    counts = read(COUNTS, (*_ROW, "quantity", "class", "voxels"))
    overlap = overlap_table(scores)
    tables = {
        "errors_by_pair": errors,
        "errors": pooled_errors(errors, counts),
        "jacobians": histograms(counts),
        "overlap": overlap,
        "overlap_summary": overlap_summary(overlap, options.references, options.cohort),
        "times": times_table(scores, options.references),
    }
    for name, table in tables.items():
        write_table(results.beside_reference / f"{name}.tsv", table, _SIDECARS[name])


def _joined(folders: Sequence[Any], name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    return pd.concat([read_tsv(folder / name, columns) for folder in folders], ignore_index=True)


def pooled_errors(errors: pd.DataFrame, counts: pd.DataFrame) -> pd.DataFrame:
    """Percentiles over all voxels of a method's pairs of one kind, from the counts."""
    rows = []
    distances = counts[counts["quantity"] == ERROR]
    for key, part in distances.groupby(_ROW, sort=True):
        pairs = errors[(errors[_ROW] == list(key)).all(axis=1)]
        total = _totals(part, ERROR)
        weights = pairs["voxels"] / max(pairs["voxels"].sum(), 1)
        row = dict(zip(_ROW, key, strict=True)) | {"pairs": len(pairs), "voxels": total.sum()}
        row["mean_mm"] = float((pairs["mean_mm"] * weights).sum())
        row |= {percentile_column(p): BINS[ERROR].percentile(total, p) for p in PERCENTILES}
        rows.append(row)
    return pd.DataFrame(rows)


def _totals(part: pd.DataFrame, quantity: str) -> np.ndarray:
    """Counts of jobs added up, (number of classes,)."""
    total = np.zeros(BINS[quantity].number, np.int64)
    np.add.at(total, part["class"].to_numpy(int), part["voxels"].to_numpy(np.int64))
    return total


def histograms(counts: pd.DataFrame) -> pd.DataFrame:
    """Percent of voxels in each class of log10 det J, empty ones at the ends left out."""
    parts = []
    for key, part in counts[counts["quantity"] != ERROR].groupby([*_ROW, "quantity"], sort=True):
        quantity = str(key[-1])
        total, bins = _totals(part, quantity), BINS[quantity]
        filled = np.flatnonzero(total)
        places = np.arange(filled[0], filled[-1] + 1)
        table = {"low": bins.edge(places), "high": bins.edge(places + 1)}
        table["percent"] = 100 * total[places] / total.sum()
        names = dict(zip([*_ROW, "quantity"], key, strict=True))
        parts.append(pd.DataFrame(names | table))
    return pd.concat(parts, ignore_index=True)


def overlap_table(scores: Mapping[str, MethodScores]) -> pd.DataFrame:
    """Target overlap of each method and pair; labels that the fixed scan lacks do not count."""
    parts = []
    for method, one in scores.items():
        rows = one.by_label[one.by_label["n_fixed"] > 0]
        grouped = rows.groupby(_PAIR, sort=True)["target_overlap"]
        part = grouped.agg(target_overlap="mean", labels="count").reset_index()
        part.insert(0, "method", method)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def overlap_summary(
    overlap: pd.DataFrame, references: Mapping[str, str], cohort: str
) -> pd.DataFrame:
    """Mean, deviation and median over the pairs; published rows behind ours, and marked."""
    by_method = {
        str(name): part.set_index(_PAIR)["target_overlap"]
        for name, part in overlap.groupby("method", sort=False)
    }
    columns = ["method", "source", "pairs", "mean", "sd", "median", "reference", "no_less_percent"]
    rows: list[dict[str, Any]] = []
    for name, values in by_method.items():
        row = {"method": name, "source": "pmrpipe", "pairs": len(values), "mean": values.mean()}
        row |= {"sd": values.std(ddof=1), "median": values.median()}
        if references.get(name) in by_method:
            both = (values - by_method[references[name]]).dropna()
            row |= {"reference": references[name], "no_less_percent": 100 * (both >= 0).mean()}
        rows.append(row)
    source = f"published ({cohort.upper()})"
    for name, one in PUBLISHED.get(cohort, {}).items() if rows else ():
        row = {"method": name, "source": source, "pairs": PAIRS[cohort], "mean": one.mean}
        rows.append(row | {"sd": one.deviation, "median": one.median})
    return pd.DataFrame(rows, columns=columns)


def times_table(scores: Mapping[str, MethodScores], references: Mapping[str, str]) -> pd.DataFrame:
    """Median seconds a pair of each method, device and number of threads."""
    seconds = {name: one.timing for name, one in scores.items() if one.timing is not None}
    rows: list[dict[str, Any]] = []
    for name, timing in seconds.items():
        reference = seconds.get(references.get(name, ""))
        known = timing.reindex(columns=[*_PAIR, "seconds", "device", "threads"])
        for key, part in known.groupby(["device", "threads"], sort=True, dropna=False):
            row = dict(zip(("device", "threads"), key, strict=True)) | {"method": name}
            row |= {"pairs": len(part), "seconds_median": part["seconds"].median()}
            if reference is not None:
                both = part.merge(reference, on=_PAIR, suffixes=("", "_reference"))
                share = both["seconds"].median() / both["seconds_reference"].median()
                row |= {"reference": references[name], "share_percent": 100 * share}
            rows.append(row)
    columns = ["method", "device", "threads", "pairs", "seconds_median"]
    return pd.DataFrame(rows, columns=[*columns, "reference", "share_percent"])
