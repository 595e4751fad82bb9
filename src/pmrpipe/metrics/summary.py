"""Summary of methods over pairs, and paired comparisons between them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pandas as pd

from pmrpipe.base.seed import SEED
from pmrpipe.metrics import entries
from pmrpipe.metrics.bootstrap import DRAWS, interval, pair_weights, subjects_of
from pmrpipe.metrics.finite import finite_mean
from pmrpipe.metrics.sidecar import require_comparable
from pmrpipe.metrics.tables import (
    COMPARED,
    MethodScores,
    compared_column,
    comparison_columns,
    regions_of,
    summary_columns,
)
from pmrpipe.study.keys import SEED_MARK
from pmrpipe.study.regions import ALL

# Below this many test subjects an interval over subjects is too coarse to carry a verdict.
FEWEST_FOR_SIGNIFICANCE = 6


def summarise(
    scores: Mapping[str, MethodScores], *, seed: int = SEED, draws: int = DRAWS
) -> pd.DataFrame:
    """summary.tsv: one row per method and region, `all` (mean over scored labels) first.

    dice_low and dice_high bound the mean: 95 % bootstrap over subjects, the same draws for
    every method. The other metrics are means over pairs; those without regions of their own
    stand in the row of every region.

    Raises
    ------
    InputError : the methods' tables were made in different ways
    """
    _require_comparable(scores)
    rows = [row for name, one in scores.items() for row in _rows(name, one, seed, draws)]
    return pd.DataFrame(rows, columns=summary_columns())


def over_seeds(summary: pd.DataFrame) -> pd.DataFrame:
    """seeds.tsv: how the mean Dice of a method varies with the seed of its training.

    One row per method with several seeds and region: seeds, dice_mean (mean over seeds of the
    mean over pairs), dice_sd (n - 1), dice_low and dice_high (least and greatest).
    """
    method = summary["method"].str.partition(SEED_MARK)[0]
    grouped = summary.assign(method=method).groupby(["method", "region"], sort=False)["dice_mean"]
    table = grouped.agg(["count", "mean", "std", "min", "max"]).reset_index()
    table.columns = ["method", "region", "seeds", "dice_mean", "dice_sd", "dice_low", "dice_high"]
    return table[table["seeds"] > 1].reset_index(drop=True)


def compare(
    scores: Mapping[str, MethodScores], *, seed: int = SEED, draws: int = DRAWS
) -> pd.DataFrame:
    """comparison.tsv: Dice of `method` minus that of `reference`, over the pairs both have.

    Other metrics that are compared have columns with their name in front, `strain_difference`.
    low and high: 95 % interval of the mean paired difference, bootstrap over subjects.
    significant: yes when the interval excludes 0, no otherwise, n/a below six subjects.

    Raises
    ------
    InputError : the methods' tables were made in different ways
    """
    _require_comparable(scores)
    rows = [
        row
        for reference, method in itertools.combinations(scores, 2)
        for row in _differences(method, reference, scores, seed, draws)
    ]
    return pd.DataFrame(rows, columns=comparison_columns())


def _require_comparable(scores: Mapping[str, MethodScores]) -> None:
    described = {name: one.sidecar for name, one in scores.items() if one.sidecar}
    if len(described) > 1:
        require_comparable(described)


def _compared_values(by_pair: pd.DataFrame) -> pd.DataFrame:
    """What methods are compared in: pairs (rows, by moving and fixed) by column of by_pair."""
    names = [m.column(region) for region in _regions(by_pair) for m in entries.compared()]
    table = by_pair.set_index(["moving", "fixed"]).sort_index()
    return table.reindex(columns=list(dict.fromkeys(names))).astype(float)


def _regions(by_pair: pd.DataFrame) -> list[str]:
    return [ALL, *regions_of(by_pair)]


def _rows(method: str, scores: MethodScores, seed: int, draws: int) -> list[dict[str, object]]:
    by_pair = scores.by_pair.set_index(["moving", "fixed"]).sort_index()
    regions = {name: entries.DICE.column(name) for name in _regions(scores.by_pair)}
    dice = by_pair[list(regions.values())].astype(float)
    low, high, subjects = _intervals(dice, seed, draws)
    seconds = None if scores.timing is None else scores.timing["seconds"].astype(float)
    return [
        {
            "method": method,
            "region": region,
            "dice_mean": finite_mean(dice[column]),
            "dice_sd": dice[column].std(ddof=1),
            "dice_median": dice[column].dropna().median(),
            "dice_low": low[n],
            "dice_high": high[n],
            "pairs": len(dice),
            "subjects": subjects,
            "seconds_median": np.nan if seconds is None else seconds.median(),
            **{m.name: _mean_of(by_pair, m.column(region)) for m in entries.METRICS},
        }
        for n, (region, column) in enumerate(regions.items())
    ]


def _mean_of(by_pair: pd.DataFrame, column: str) -> float:
    return finite_mean(by_pair[column]) if column in by_pair else np.nan


def _intervals(values: pd.DataFrame, seed: int, draws: int) -> tuple[np.ndarray, np.ndarray, int]:
    if not len(values):
        nothing = np.full(values.shape[1], np.nan)
        return nothing, nothing, 0
    moving, fixed = (values.index.get_level_values(side).tolist() for side in (0, 1))
    subjects = len(subjects_of(moving, fixed))
    weights = pair_weights(moving, fixed, draws, seed)
    low, high = interval(values.to_numpy(), weights, subjects)
    return low, high, subjects


def _differences(
    method: str, reference: str, scores: Mapping[str, MethodScores], seed: int, draws: int
) -> list[dict[str, object]]:
    mine, theirs = (_compared_values(scores[name].by_pair) for name in (method, reference))
    shared = mine.index.intersection(theirs.index).sort_values()
    columns = [name for name in mine.columns if name in theirs.columns]
    difference = mine.loc[shared, columns] - theirs.loc[shared, columns]
    low, high, subjects = _intervals(difference, seed, draws)
    parts = {
        column: (finite_mean(values), low[n], high[n], _verdict(low[n], high[n], subjects))
        for n, (column, values) in enumerate(difference.items())
    }
    names = {"method": method, "reference": reference}
    counts = {"pairs": len(shared), "subjects": subjects}
    return [
        names | {"region": region} | counts | _compared_row(region, parts)
        for region in _regions(scores[method].by_pair)
        if entries.DICE.column(region) in columns
    ]


def _compared_row(region: str, parts: Mapping[str, tuple[object, ...]]) -> dict[str, object]:
    """The cells of every compared metric for one region."""
    return {
        compared_column(metric.name, part): value
        for metric in entries.compared()
        for part, value in zip(COMPARED, parts[metric.column(region)], strict=True)
    }


def _verdict(low: float, high: float, subjects: int) -> object:
    if subjects < FEWEST_FOR_SIGNIFICANCE or not np.isfinite([low, high]).all():
        return np.nan
    return "yes" if low > 0 or high < 0 else "no"
