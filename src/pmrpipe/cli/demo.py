"""Verb `check-demo`: the embedded cohort's table, judged by what it must reach."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pmrpipe.cli.messages import say

_LEAST_GAIN = 0.05
_LEAST_SHARE_OF_SYN = 0.5
_MOST_FOLDING = 0.1
_COLUMNS = ["method", "dice_mean", "folding_percent", "sdlogj", "seconds_median"]


def add_check_demo(parser: ArgumentParser) -> None:
    parser.add_argument("study", help="configuration of the run: a YAML file, or JSON text")


def run_check_demo(options: Namespace) -> None:
    from pmrpipe.base.errors import WorkError
    from pmrpipe.base.files import read_tsv
    from pmrpipe.methods.spec import spec
    from pmrpipe.study.config import load
    from pmrpipe.study.paths import Results

    study = load(options.study)
    results = Results(study.result_root, study.grid_mm)
    summary = read_tsv(results.summary, required=(*_COLUMNS, "region"))
    regions = summary[summary["region"] != "all"].groupby("method", sort=False)["dice_mean"].mean()
    shown = summary.loc[summary["region"] == "all", _COLUMNS].set_index("method")
    shown.insert(0, "region_dice", regions)
    say(shown.round(4).to_string())
    baseline = next(name for name in study.methods if not spec(name).deforms)
    gain = regions - regions[baseline]
    best = gain[[name for name in ("pmr", "pmr-cc") if name in gain]].idxmax()
    share = gain[best] / gain["syn"]
    folding = shown.loc[best, "folding_percent"]
    say(
        f"{best} gains {gain[best]:.3f} mean region Dice over {baseline}, "
        f"{share:.0%} of what SyN gains"
    )
    good = gain[best] >= _LEAST_GAIN and share >= _LEAST_SHARE_OF_SYN and folding < _MOST_FOLDING
    if not good:
        problem = (
            f"{best} must gain {_LEAST_GAIN} and half of what SyN gains, "
            f"folding below {_MOST_FOLDING} %"
        )
        raise WorkError(results.summary, problem, "something in the chain is wrong")
    say(f"The table is as good as it must be. Report: {results.report}")
