"""How much one image says of another, whatever the contrast of each."""

from __future__ import annotations

import numpy as np


def mutual_information(first: np.ndarray, second: np.ndarray, bins: int = 32) -> float:
    """Of two lists of intensities, in nats, from a joint histogram."""
    if first.size == 0:
        return 0.0
    joint = np.histogram2d(first, second, bins)[0] / first.size
    independent = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    held = joint > 0
    return float(np.sum(joint[held] * np.log(joint[held] / independent[held])))


def correlation_ratio(known: np.ndarray, values: np.ndarray, bins: int = 32) -> float:
    """The part of the deviation of `values` that a function of `known` explains, 0 to 1.

    The square root of the correlation ratio of Roche et al. (MICCAI 1998), so that it reads as a
    correlation does and is one where the function is a line. The function is free: its value is the
    mean of `values` in each of `bins` classes of `known`, of about equal size.
    """
    if values.size < 2 * bins or np.ptp(values) == 0:
        return 0.0
    edges = np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1])
    classes = np.searchsorted(edges, known)
    counts = np.maximum(np.bincount(classes, minlength=bins), 1)
    means = np.bincount(classes, values, minlength=bins) / counts
    explained = np.sum(counts * (means - values.mean(dtype=np.float64)) ** 2)
    total = values.size * float(values.var(dtype=np.float64))
    return float(np.sqrt(min(1.0, explained / total)))
