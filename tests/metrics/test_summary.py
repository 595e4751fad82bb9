import time

import numpy as np
import pandas as pd
import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.metrics import tables
from pmrpipe.metrics.bootstrap import interval, pair_weights, subjects_of
from pmrpipe.metrics.summary import compare, summarise


def all_pairs(subjects: int) -> list[tuple[str, str]]:
    names = [f"sub-{n:02d}" for n in range(subjects)]
    return [(a, b) for a in names for b in names if a != b]


def study(subjects: int, gain=0.0, seed=0, regions=("frontal", "putamen")) -> tables.MethodScores:
    """Dice with an effect of each subject, as in real pairs, plus `gain`."""
    rng = np.random.default_rng(seed)
    effect = rng.normal(0, 0.05, subjects)
    rows = [
        {
            "moving": a,
            "fixed": b,
            **{
                column: 0.5 + gain + effect[int(a[4:])] + effect[int(b[4:])] + rng.normal(0, 0.005)
                for column in ("dice", *(f"dice_{name}" for name in regions))
            },
            "folding_percent": 0.1,
            "ndv_percent": 0.2,
            "sdlogj": 0.3,
            "strain": 0.4 + gain,
        }
        for a, b in all_pairs(subjects)
    ]
    timing = [{"moving": r["moving"], "fixed": r["fixed"], "seconds": 2.0} for r in rows]
    empty = tables.by_label_table([])
    return tables.MethodScores(
        empty, tables.by_pair_table(rows, regions), tables.timing_table(timing)
    )


def test_summary_has_the_promised_columns_and_rows():
    table = summarise({"affine": study(4), "pmr": study(4, 0.1)})
    promised = "method region dice_mean dice_sd dice_median dice_low dice_high pairs subjects"
    promised += " folding_percent ndv_percent sdlogj seconds_median hd95_mm inverse_consistency_mm"
    appended = "ncc strain strain_volume strain_shear"
    assert list(table.columns) == [*promised.split(), *appended.split()]
    assert table["region"].tolist() == ["all", "frontal", "putamen"] * 2
    row = table.iloc[3]
    values = study(4, 0.1).by_pair["dice"]
    assert row["dice_mean"] == pytest.approx(values.mean())
    assert row["dice_sd"] == pytest.approx(values.std())
    assert row["dice_median"] == pytest.approx(values.median())
    assert row["dice_low"] < row["dice_mean"] < row["dice_high"]
    assert (row["pairs"], row["subjects"], row["seconds_median"]) == (12, 4, 2.0)
    assert row["ndv_percent"] == pytest.approx(0.2)


def test_summary_is_the_same_every_time():
    first, second = (summarise({"a": study(5)}) for _ in range(2))
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_weights_are_products_of_multiplicities():
    pairs = all_pairs(4)
    weights = pair_weights(*zip(*pairs, strict=True), draws=50, seed=1)
    for draw in weights:
        of_pair = {pair: weight for pair, weight in zip(pairs, draw, strict=True)}
        # The product is symmetric, and the total is (Σm)² - Σm² for multiplicities m.
        assert all(of_pair[a, b] == of_pair[b, a] for a, b in pairs)
        assert 0 < draw.sum() <= 16 - 4


def test_interval_is_wider_than_that_of_independent_pairs():
    by_pair = study(8).by_pair
    values = by_pair[["dice"]].to_numpy()
    low, high = interval(values, pair_weights(by_pair["moving"], by_pair["fixed"]), 8)
    independent = 2 * 1.96 * values.std() / np.sqrt(len(values))
    assert high[0] - low[0] > 1.5 * independent


def test_interval_covers_the_truth_about_as_often_as_it_says():
    hits = 0
    for seed in range(60):
        by_pair = study(12, seed=seed, regions=()).by_pair
        weights = pair_weights(by_pair["moving"], by_pair["fixed"], draws=300, seed=seed)
        low, high = interval(by_pair[["dice"]].to_numpy(), weights, 12)
        hits += low[0] <= 0.5 <= high[0]
    assert hits >= 48


def test_a_shared_fixed_scan_is_not_drawn():
    assert subjects_of(["sub-1", "sub-2"], ["sub-9", "sub-9"]) == ["sub-1", "sub-2"]
    assert (pair_weights(["sub-1", "sub-2"], ["sub-9", "sub-9"]).sum(axis=1) == 2).all()


def test_sessions_of_a_subject_are_drawn_together():
    moving, fixed = ["sub-1_ses-a", "sub-1_ses-b"], ["sub-2", "sub-2_run-1"]
    weights = pair_weights(moving, fixed)
    assert subjects_of(moving, fixed) == ["sub-1", "sub-2"]
    assert (weights[:, 0] == weights[:, 1]).all()


def test_two_subjects_and_no_labels_give_no_interval():
    table = summarise({"a": study(2)})
    assert table["dice_low"].isna().all()
    assert table["dice_mean"].notna().all()
    bare = study(4)
    bare.by_pair["dice"] = np.nan
    table = summarise({"a": bare})
    assert np.isnan(table.loc[0, "dice_mean"])
    assert np.isnan(table.loc[0, "dice_low"])
    assert table.loc[0, "folding_percent"] == pytest.approx(0.1)


def test_paired_difference_is_sharper_than_the_two_intervals():
    table = compare({"affine": study(8), "pmr": study(8, 0.02, seed=0)})
    row = table.iloc[0]
    promised = "method reference region difference low high pairs subjects significant"
    appended = [f"strain_{part}" for part in ("difference", "low", "high", "significant")]
    assert list(table.columns) == [*promised.split(), *appended]
    assert (row["method"], row["reference"]) == ("pmr", "affine")
    assert row["difference"] == pytest.approx(0.02)
    assert row["low"] <= row["difference"] <= row["high"]
    assert row["high"] - row["low"] < 0.01
    assert row["significant"] == "yes"
    strain = [f"strain_{part}" for part in ("difference", "low", "high")]
    assert row[strain].tolist() == pytest.approx([0.02] * 3)
    assert (table["strain_difference"] == row["strain_difference"]).all()


def test_no_significance_mark_below_six_subjects():
    table = compare({"affine": study(5), "pmr": study(5, 0.3)})
    assert table["significant"].isna().all()
    assert table["low"].notna().all()


def test_comparison_uses_the_pairs_that_both_have():
    fewer = study(6)
    fewer = tables.MethodScores(fewer.by_label, fewer.by_pair.iloc[3:], fewer.timing)
    assert compare({"a": study(6), "b": fewer})["pairs"].tolist() == [27] * 3


def test_tables_made_differently_are_not_summarised_together():
    other = study(3)
    first = tables.MethodScores(other.by_label, other.by_pair, None, {"interpolation": "nearest"})
    second = tables.MethodScores(other.by_label, other.by_pair, None, {"interpolation": "linear"})
    for function in (summarise, compare):
        with pytest.raises(InputError, match="interpolation"):
            function({"a": first, "b": second})


@pytest.mark.slow
def test_forty_subjects_and_six_methods_take_seconds():
    regions = [f"region{n}" for n in range(7)]
    scores = {f"method{n}": study(40, 0.01 * n, n, regions) for n in range(6)}
    began = time.perf_counter()
    summarise(scores)
    compare(scores)
    assert time.perf_counter() - began < 25
