"""The embedded cohort's table, judged by what it must reach."""

from __future__ import annotations

from collections.abc import Iterator

from pmrpipe.base.errors import WorkError
from pmrpipe.base.files import read_tsv
from pmrpipe.methods.spec import spec
from pmrpipe.study.config import Study
from pmrpipe.study.paths import Results

_LEAST_GAIN = 0.05
_LEAST_SHARE_OF_SYN = 0.5
_MOST_FOLDING = 0.1
_COLUMNS = ["method", "dice_mean", "folding_percent", "sdlogj", "seconds_median"]


def judge(study: Study) -> Iterator[str]:
    """The table, how good the best network is, and where the report is, as lines to say.

    Raises
    ------
    WorkError : the best network gains too little over the affine, or folds
    """
    results = Results(study.result_root, study.grid_mm)
    summary = read_tsv(results.summary, required=(*_COLUMNS, "region"))
    regions = summary[summary["region"] != "all"].groupby("method", sort=False)["dice_mean"].mean()
    table = summary.loc[summary["region"] == "all", _COLUMNS].set_index("method")
    table.insert(0, "region_dice", regions)
    yield table.round(4).to_string()
    baseline = next(name for name in study.methods if not spec(name).deforms)
    gain = regions - regions[baseline]
    best = gain[[name for name in ("pmr", "pmr-cc") if name in gain]].idxmax()
    share = gain[best] / gain["syn"]
    yield (
        f"{best} gains {gain[best]:.3f} mean region Dice over {baseline}, "
        f"{share:.0%} of what SyN gains"
    )
    folding = table.loc[best, "folding_percent"]
    good = gain[best] >= _LEAST_GAIN and share >= _LEAST_SHARE_OF_SYN and folding < _MOST_FOLDING
    if not good:
        problem = (
            f"{best} must gain {_LEAST_GAIN} and half of what SyN gains, "
            f"folding below {_MOST_FOLDING} %"
        )
        raise WorkError(results.summary, problem, "something in the chain is wrong")
    yield f"The table is as good as it must be. Report: {results.report}"
