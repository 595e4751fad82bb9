"""Means over what was measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def finite_mean(values: np.ndarray | Sequence[float]) -> float:
    """Mean of the finite values; NaN where there is none."""
    numbers = np.asarray(values, dtype=np.float64)
    known = numbers[np.isfinite(numbers)]
    return float(known.mean()) if known.size else float("nan")
