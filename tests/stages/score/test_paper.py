"""The paper's tables: published rows as printed, our rows from the summary."""

import numpy as np
import pandas as pd
import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_tsv
from pmrpipe.metrics.summary import over_seeds
from pmrpipe.stages.score.paper import TABLES, paper_table, require, write_paper_table

REGIONS = TABLES["table1"].regions


def summary(*methods: str, regions=REGIONS) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    rows = [
        {
            "method": m,
            "region": r,
            "dice_mean": draw.random(),
            "folding_percent": 0.1,
            "sdlogj": 0.2,
        }
        for m in methods
        for r in ("all", *regions)
    ]
    return pd.DataFrame(rows)


def test_table_1_has_the_published_rows_and_ours():
    given = summary("affine", "pmr")
    table = paper_table("table1", given, "lpba40")
    assert list(table.columns) == ["method", "source", *REGIONS]
    published = table[table["source"] == "published (LPBA40)"].set_index("method")
    assert len(published) == 6
    assert published.loc["PMR", "occipital"] == 0.660
    assert published.loc["Baseline-1", "putamen"] == 0.549
    ours = table[table["source"] == "pmrpipe (lpba40)"].set_index("method")
    expected = given[(given["method"] == "pmr") & (given["region"] == "putamen")]["dice_mean"]
    assert ours.loc["pmr", "putamen"] == expected.item()


def test_table_2_has_five_regions_and_nothing_published():
    table = paper_table("table2", summary("affine", "pmr"), "mindboggle101")
    assert list(table.columns) == ["method", "source", *REGIONS[:5]]
    assert set(table["source"]) == {"pmrpipe (mindboggle101)"}


def test_the_ablation_sets_three_rows_beside_three():
    table = paper_table("ablation", summary("affine", "pmr-last", "pmr", "pmr-concat"), "x")
    expected = ["Baseline-1", "Baseline-2", "PMR", "pmr-concat", "pmr-last", "pmr"]
    assert table["method"].tolist() == expected
    assert table["sdlogj"].isna().tolist() == [True] * 3 + [False] * 3


def test_what_is_lacking_is_named():
    with pytest.raises(InputError, match="pmr-last"):
        require("ablation", ["pmr", "pmr-concat"], REGIONS)
    with pytest.raises(InputError, match="hippocampus"):
        require("table1", ["pmr"], REGIONS[:6])


def test_tsv_markdown_and_latex(tmp_path):
    table = paper_table("ablation", summary("pmr", "pmr-last", "pmr-concat"), "x")
    write_paper_table(tmp_path / "ablation", table, "PMR")
    assert read_tsv(tmp_path / "ablation.tsv").shape == (6, 11)
    lines = (tmp_path / "ablation.md").read_text().splitlines()
    assert len(lines) == 8
    assert len({line.count("|") for line in lines}) == 1
    assert "| n/a |" in lines[2]
    latex = (tmp_path / "ablation.tex").read_text()
    assert r"folding\_percent" in latex
    assert latex.count(r" \\") == 7


def test_seeds_are_summarised():
    given = summary("pmr", "pmr_seed-1", "pmr_seed-2", "affine")
    table = over_seeds(given)
    assert set(table["method"]) == {"pmr"}
    assert (table["seeds"] == 3).all()
    values = given[given["method"].str.startswith("pmr") & (given["region"] == "all")]["dice_mean"]
    row = table[table["region"] == "all"].iloc[0]
    assert row["dice_mean"] == pytest.approx(values.mean())
    assert row["dice_sd"] == pytest.approx(values.std(ddof=1))
    assert (row["dice_low"], row["dice_high"]) == (values.min(), values.max())
