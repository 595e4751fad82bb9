"""The embedded cohort's table, judged by what it must reach."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pmrpipe.base.errors import WorkError
from pmrpipe.base.files import read_tsv
from pmrpipe.methods.spec import spec
from pmrpipe.study.config import Study
from pmrpipe.study.paths import Results

if TYPE_CHECKING:
    import pandas as pd

_LEAST_GAIN = 0.05
_LEAST_SHARE_OF_SYN = 0.5
_MOST_FOLDING = 0.1
_COLUMNS = ["method", "dice_mean", "folding_percent", "sdlogj", "strain", "seconds_median"]
# Networks that the study trains itself.
_TRAINED = ("pmr", "pmr-cc")


def judge(study: Study) -> Iterator[str]:
    """The table, how good the networks are, and where the report is, as lines to say.

    Raises
    ------
    WorkError : the best network that was trained gains too little over the affine, the shipped
        one with instance optimisation is not above SyN, or one of them folds
    """
    results = study.paths
    table = _table(results)
    yield table.round(4).to_string()
    baseline = next(name for name in study.methods if not spec(name).deforms)
    gain = table["region_dice"] - table.loc[baseline, "region_dice"]
    best = gain[[name for name in _TRAINED if name in gain]].idxmax()
    share = gain[best] / gain["syn"]
    yield (
        f"{best} gains {gain[best]:.3f} mean region Dice over {baseline}, "
        f"{share:.0%} of what SyN gains"
    )
    refined = [f"{name}_refine-{steps}" for name, steps in study.refine.items()]
    for problem in _problems(table, gain, best, share, refined):
        raise WorkError(results.summary, problem, "something in the chain is wrong")
    yield f"The table is as good as it must be. Report: {results.report}"


def _table(results: Results) -> pd.DataFrame:
    """One row a method, mean Dice over the regions first."""
    summary = read_tsv(results.summary, required=(*_COLUMNS, "region"))
    regions = summary[summary["region"] != "all"].groupby("method", sort=False)["dice_mean"].mean()
    table = summary.loc[summary["region"] == "all", _COLUMNS].set_index("method")
    table.insert(0, "region_dice", regions)
    return table


def _problems(
    table: pd.DataFrame, gain: pd.Series, best: str, share: float, refined: list[str]
) -> Iterator[str]:
    """What the table does not reach."""
    if gain[best] < _LEAST_GAIN or share < _LEAST_SHARE_OF_SYN:
        yield f"{best} must gain {_LEAST_GAIN} and half of what SyN gains"
    for name in refined:
        if not gain[name] > gain["syn"]:
            yield f"{name} must gain more than SyN"
    for name in [best, *refined]:
        if not table.loc[name, "folding_percent"] < _MOST_FOLDING:
            yield f"{name} must fold less than {_MOST_FOLDING} %"
