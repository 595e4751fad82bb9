"""Summary of methods over pairs, and paired comparisons between them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pandas as pd

from pmrpipe.metrics.bootstrap import DRAWS, interval, pair_weights, subjects_of
from pmrpipe.metrics.sidecar import require_comparable
from pmrpipe.metrics.tables import COMPARISON, SUMMARY, MethodScores, regions_of
from pmrpipe.study.paths import SEED_MARK
from pmrpipe.study.regions import ALL

# Below this many test subjects an interval over subjects is too coarse to carry a verdict.
FEWEST_FOR_SIGNIFICANCE = 6


def summarise(
    scores: Mapping[str, MethodScores], *, seed: int = 2019, draws: int = DRAWS
) -> pd.DataFrame:
    """summary.tsv: one row per method and region, `all` (mean over scored labels) first.

    dice_low and dice_high bound the mean: 95 % bootstrap over subjects, the same draws for
    every method. folding_percent, ndv_percent, sdlogj, hd95_mm and inverse_consistency_mm are
    means over pairs.

    Raises
    ------
    InputError : the methods' tables were made in different ways
    """
    _require_comparable(scores)
    rows = [row for name, one in scores.items() for row in _rows(name, one, seed, draws)]
    return pd.DataFrame(rows, columns=list(SUMMARY))


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
    scores: Mapping[str, MethodScores], *, seed: int = 2019, draws: int = DRAWS
) -> pd.DataFrame:
    """comparison.tsv: Dice of `method` minus that of `reference`, over the pairs both have.

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
    return pd.DataFrame(rows, columns=list(COMPARISON))


def _require_comparable(scores: Mapping[str, MethodScores]) -> None:
    described = {name: one.sidecar for name, one in scores.items() if one.sidecar}
    if len(described) > 1:
        require_comparable(described)


def _dice(by_pair: pd.DataFrame) -> pd.DataFrame:
    """Dice by pair (rows, indexed by moving and fixed) and region (columns, `all` first)."""
    columns = {"dice": ALL} | {f"dice_{name}": name for name in regions_of(by_pair)}
    indexed = by_pair.set_index(["moving", "fixed"]).sort_index()
    return indexed[list(columns)].rename(columns=columns).astype(float)


def _rows(method: str, scores: MethodScores, seed: int, draws: int) -> list[dict[str, object]]:
    dice = _dice(scores.by_pair)
    low, high, subjects = _intervals(dice, seed, draws)
    seconds = None if scores.timing is None else scores.timing["seconds"].astype(float)
    common = {
        "pairs": len(dice),
        "subjects": subjects,
        **{
            name: _mean(scores.by_pair[name].to_numpy(float))
            for name in ("folding_percent", "ndv_percent", "sdlogj")
        },
        "seconds_median": np.nan if seconds is None else seconds.median(),
        **{
            name: _mean(scores.by_pair[name].to_numpy(float))
            for name in ("hd95_mm", "inverse_consistency_mm")
        },
    }
    return [
        {
            "method": method,
            "region": region,
            "dice_mean": _mean(values.to_numpy()),
            "dice_sd": values.std(ddof=1),
            "dice_median": values.dropna().median(),
            "dice_low": low[n],
            "dice_high": high[n],
            **common,
        }
        for n, (region, values) in enumerate(dice.items())
    ]


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
    mine, theirs = (_dice(scores[name].by_pair) for name in (method, reference))
    shared = mine.index.intersection(theirs.index).sort_values()
    regions = [name for name in mine.columns if name in theirs.columns]
    difference = mine.loc[shared, regions] - theirs.loc[shared, regions]
    low, high, subjects = _intervals(difference, seed, draws)
    return [
        {
            "method": method,
            "reference": reference,
            "region": region,
            "difference": _mean(values.to_numpy()),
            "low": low[n],
            "high": high[n],
            "pairs": len(shared),
            "subjects": subjects,
            "significant": _verdict(low[n], high[n], subjects),
        }
        for n, (region, values) in enumerate(difference.items())
    ]


def _verdict(low: float, high: float, subjects: int) -> object:
    if subjects < FEWEST_FOR_SIGNIFICANCE or not np.isfinite([low, high]).all():
        return np.nan
    return "yes" if low > 0 or high < 0 else "no"


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")
