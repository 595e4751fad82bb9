"""Intervals of a mean over pairs that share subjects: bootstrap over subjects.

Pairs (i, j) and (i, k) are not independent, so subjects are drawn with replacement and not
pairs: a pair weighs the product of the multiplicities of its two subjects, as in the
bootstrap for two-way arrays (Owen, Ann. Appl. Stat. 1 (2007) 386; Davezies et al.,
Ann. Stat. 49 (2021) 845).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pmrpipe.base.seed import SEED
from pmrpipe.study.keys import subject_of

DRAWS = 2000
LEVEL = 95.0
# With two subjects every draw that holds a pair holds the same pairs: the interval has no width.
_FEWEST = 3


def subjects_of(moving: Sequence[str], fixed: Sequence[str]) -> list[str]:
    """The subjects that vary over the pairs, sorted.

    A side that is one and the same scan in all pairs (the template, the subject of
    `to-subject`) is part of the design and is not drawn.
    """
    sides = [list(moving), list(fixed)]
    varying = [side for side in sides if len(set(side)) > 1] or sides[:1]
    return sorted({subject_of(key) for side in varying for key in side})


def pair_weights(
    moving: Sequence[str], fixed: Sequence[str], draws: int = DRAWS, seed: int = SEED
) -> np.ndarray:
    """Weights of the pairs in each draw, (D, P) float64, D <= draws.

    Draws without any pair (all of them one subject) are left out. A pair of two scans of one
    subject weighs that subject's multiplicity.
    """
    subjects = subjects_of(moving, fixed)
    # Multinomial counts are the multiplicities of drawing with replacement.
    chances = np.full(len(subjects), 1 / len(subjects))
    counts = np.random.Generator(np.random.PCG64(seed)).multinomial(
        len(subjects), chances, size=draws
    )
    counts = np.hstack([counts, np.ones((draws, 1), counts.dtype)])
    place = {name: n for n, name in enumerate(subjects)}
    first, second = (
        np.array([place.get(subject_of(key), len(subjects)) for key in keys])
        for keys in (moving, fixed)
    )
    second = np.where(first == second, len(subjects), second)
    weights = (counts[:, first] * counts[:, second]).astype(np.float64)
    return weights[weights.sum(axis=1) > 0]


def interval(values: np.ndarray, weights: np.ndarray, subjects: int) -> np.ndarray:
    """Percentile intervals of the means of several columns over pairs.

    Parameters
    ----------
    values : (P, C), one row per pair; NaN = not measured, left out
    weights : (D, P) from `pair_weights`
    subjects : how many subjects were drawn; below three there is no interval (NaN)

    Returns
    -------
    (2, C) : lower and upper end of the 95 % interval of each column's mean
    """
    if subjects < _FEWEST or not len(weights):
        return np.full((2, values.shape[1]), np.nan)
    known = np.isfinite(values)
    # einsum and not @: sums must not depend on the number of BLAS threads.
    total = np.einsum("dp,cp->dc", weights, np.where(known, values, 0.0).T.copy())
    mass = np.einsum("dp,cp->dc", weights, known.astype(np.float64).T.copy())
    means = np.divide(total, mass, out=np.full_like(total, np.nan), where=mass > 0)
    return np.array([_tails(column) for column in means.T]).T


def _tails(means: np.ndarray) -> tuple[float, float]:
    means = means[np.isfinite(means)]
    if not means.size:
        return np.nan, np.nan
    tail = (100.0 - LEVEL) / 2
    low, high = np.percentile(means, [tail, 100.0 - tail])
    return float(low), float(high)
