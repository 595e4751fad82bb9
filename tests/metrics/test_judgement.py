"""What speaks against a registration."""

from __future__ import annotations

import pytest

from pmrpipe.metrics.judgement import LEAST_NCC, MOST_FOLDING_PERCENT, doubts

GOOD = {"ncc_affine": 0.62, "ncc": 0.88, "folding_percent": 0.01}


def test_a_good_registration_is_not_doubted():
    assert doubts(GOOD) == []
    assert doubts({"ncc_affine": 0.62, "ncc": 0.62, "folding_percent": 0.0}) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ncc": 0.55}, "worse than its affine: NCC 0.550 in the fixed brain, 0.620"),
        ({"ncc": LEAST_NCC - 0.01, "ncc_affine": 0.2}, "hardly alike: NCC 0.390"),
        ({"folding_percent": MOST_FOLDING_PERCENT + 0.5}, "folds in 1.5 % of the fixed brain"),
    ],
)
def test_each_reason_is_told_alone_with_its_value(change, said):
    (sentence,) = doubts(GOOD | change)
    assert said in sentence


def test_what_cannot_be_measured_is_doubted():
    assert len(doubts(dict.fromkeys(GOOD, float("nan")))) == 3
