"""The demo's table is judged: good ones pass, and each shortfall is named."""

from __future__ import annotations

import pandas as pd
import pytest

from pmrpipe.base.errors import WorkError
from pmrpipe.base.files import write_tsv
from pmrpipe.stages.score.demo import judge
from pmrpipe.study.config import parse

GOOD = {"affine": 0.45, "syn": 0.75, "pmr": 0.61, "pmr-cc": 0.63, "pmr-plus": 0.82,
        "pmr-plus_refine-20": 0.86}  # fmt: skip


def said(folder, dice=None, folding=None):
    """What is said of a table with these mean Dice and folding percentages."""
    dice, folding = GOOD | (dice or {}), folding or {}
    study = parse({
        "root": "data", "results": str(folder), "methods": [*list(GOOD)[:5]],
        "refine": {"pmr-plus": 20},
    })  # fmt: skip
    rows = [
        {"method": name, "region": region, "dice_mean": value, "strain": 0.2, "sdlogj": 0.1,
         "folding_percent": folding.get(name, 0.0), "seconds_median": 1.0}
        for name, value in dice.items() for region in ("all", "frontal")
    ]  # fmt: skip
    write_tsv(study.result_root / "score" / "summary.tsv", pd.DataFrame(rows))
    return list(judge(study))


def test_a_good_table_passes(tmp_path):
    lines = said(tmp_path)
    assert "pmr-cc gains 0.180" in lines[1]
    assert "60% of what SyN gains" in lines[1]
    assert lines[-1].startswith("The table is as good as it must be")


@pytest.mark.parametrize(
    ("dice", "folding", "problem"),
    [
        ({"pmr-cc": 0.55, "pmr": 0.55}, {}, "pmr must gain 0.05 and half of what SyN gains"),
        ({"pmr-plus_refine-20": 0.74}, {}, "pmr-plus_refine-20 must gain more than SyN"),
        ({}, {"pmr-cc": 0.2}, "pmr-cc must fold less than 0.1 %"),
        ({}, {"pmr-plus_refine-20": 0.2}, "pmr-plus_refine-20 must fold less than 0.1 %"),
    ],
)
def test_each_shortfall_is_named(tmp_path, dice, folding, problem):
    with pytest.raises(WorkError, match=problem.replace(".", r"\.")):
        said(tmp_path, dice, folding)
