"""Agreement of two images whatever their contrasts."""

from __future__ import annotations

import numpy as np
import pytest

from pmrpipe.metrics.agreement import correlation_ratio


def test_a_function_of_the_known_is_explained_whatever_it_is() -> None:
    x = np.random.default_rng(0).normal(size=20000)
    assert correlation_ratio(x, 2 - 3 * x) > 0.97
    assert correlation_ratio(x, x * x) > 0.93
    assert abs(np.corrcoef(x, x * x)[0, 1]) < 0.05


def test_half_noise_is_half_explained() -> None:
    x, noise = np.random.default_rng(1).normal(size=(2, 50000))
    assert correlation_ratio(x, x + noise) == pytest.approx(np.sqrt(0.5), abs=0.02)


def test_what_does_not_depend_on_the_known_is_not_explained() -> None:
    x, y = np.random.default_rng(2).normal(size=(2, 20000))
    assert correlation_ratio(x, y) < 0.06
    assert correlation_ratio(x, np.ones(20000)) == 0
