"""What speaks against a registration: its reasons, their limits and their words, in one place."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

# A method that changes nothing may lose this much by rounding.
_NOISE = 0.002
# Below what two aligned T1w brains reach: a pair of adults of one scanner had 0.55 by its affine
# alone and 0.92 registered. Images of another contrast, or a wrong affine, come out lower.
LEAST_NCC = 0.4
# The same for two contrasts: the correlation ratio.
LEAST_RATIO = 0.35
# Networks with a smooth prior fold in less than a tenth of this part of the brain.
MOST_FOLDING_PERCENT = 1.0
# Robust z beyond which a value is an outlier of its cohort (Iglewicz and Hoaglin 1993), and the
# number of values from which on that means anything.
FAR, ENOUGH = 3.5, 16
# The smallest deviation of NCC that counts: the pairs of a method may be all alike.
_LEAST_NCC_SPREAD = 0.02


def doubts(facts: Mapping[str, float], alike: bool = True) -> list[str]:
    """Sentences that say what is doubtful of one registration; none when nothing is.

    Parameters
    ----------
    facts : ncc_affine and ncc, both inside the fixed brain on the template grid, of two contrasts
        correlation_ratio_affine and correlation_ratio too; and folding_percent of the deformable
        part there
    alike : whether both images have one contrast, so that NCC says something
    """
    name, word, least = "ncc", "NCC", LEAST_NCC
    comparable = alike or "correlation_ratio" in facts
    if "correlation_ratio" in facts:
        name, word, least = "correlation_ratio", "correlation ratio", LEAST_RATIO
    before, after, folded = facts[f"{name}_affine"], facts[name], facts["folding_percent"]
    said = []
    if comparable and not after >= before - _NOISE:
        said.append(
            f"the registration is worse than its affine: {word} {after:.3f} in the fixed brain, "
            f"{before:.3f} by the affine alone"
        )
    if comparable and not after >= least:
        said.append(f"the brains are hardly alike: {word} {after:.3f}, {least:g} is usual at least")
    if not folded <= MOST_FOLDING_PERCENT:
        said.append(
            f"the map folds in {folded:.2g} % of the fixed brain, "
            f"{MOST_FOLDING_PERCENT:g} % is usual at most"
        )
    return said


def usual_range(values: np.ndarray, least_spread: float) -> tuple[float, float]:
    """The values that are no outliers among `values`: low, high; no limits below sixteen values.

    Parameters
    ----------
    values : (N,)
    least_spread : the smallest robust standard deviation that counts
    """
    known = values[np.isfinite(values)]
    if len(known) < ENOUGH:
        return -np.inf, np.inf
    middle = float(np.median(known))
    spread = max(1.4826 * float(np.median(np.abs(known - middle))), least_spread)
    return middle - FAR * spread, middle + FAR * spread


def outliers(similarity: np.ndarray) -> list[str]:
    """For each pair of a method a sentence when its NCC is far below the others'; else "".

    Parameters
    ----------
    similarity : (P,) NCC of each pair
    """
    low, _ = usual_range(similarity, _LEAST_NCC_SPREAD)
    middle = float(np.nanmedian(similarity)) if np.isfinite(similarity).any() else np.nan
    return [
        f"NCC {value:.3f} is far below that of the method's other pairs (median {middle:.3f})"
        if value < low
        else ""
        for value in similarity.tolist()
    ]
