"""What speaks against a registration."""

from __future__ import annotations

import numpy as np
import pytest

from pmrpipe.metrics.judgement import LEAST_NCC, MOST_FOLDING_PERCENT, doubts, outliers

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


def test_images_of_two_contrasts_are_not_judged_by_their_correlation():
    facts = {"ncc_affine": -0.2, "ncc": -0.4, "folding_percent": 2.0}
    (sentence,) = doubts(facts, alike=False)
    assert "folds" in sentence


@pytest.mark.parametrize(("pairs", "told"), [(15, 0), (16, 1)])
def test_a_pair_far_below_the_others_is_told_from_sixteen_pairs_on(pairs, told):
    similarity = np.append(np.linspace(0.88, 0.92, pairs - 1), 0.6)
    sentences = outliers(similarity)
    assert sum(map(bool, sentences)) == told
    assert not told or "NCC 0.600 is far below" in sentences[-1]


def test_pairs_that_are_nearly_alike_have_no_outlier():
    # The smallest deviation that counts is 0.02: seven hundredths below the median.
    assert not any(outliers(np.append(np.full(20, 0.9), 0.84)))
    assert any(outliers(np.append(np.full(20, 0.9), 0.82)))
