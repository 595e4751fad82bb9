"""What speaks against a registration: its reasons, their limits and their words, in one place."""

from __future__ import annotations

from collections.abc import Mapping

# A method that changes nothing may lose this much by rounding.
_NOISE = 0.002
# Below what two aligned T1w brains reach: a pair of adults of one scanner had 0.55 by its affine
# alone and 0.92 registered. Images of another contrast, or a wrong affine, come out lower.
LEAST_NCC = 0.4
# Networks with a smooth prior fold in less than a tenth of this part of the brain.
MOST_FOLDING_PERCENT = 1.0


def doubts(facts: Mapping[str, float]) -> list[str]:
    """Sentences that say what is doubtful of one registration; none when nothing is.

    Parameters
    ----------
    facts : ncc_affine and ncc, both inside the fixed brain on the template grid, and
        folding_percent of the deformable part there
    """
    before, after, folded = (facts[name] for name in ("ncc_affine", "ncc", "folding_percent"))
    said = []
    if not after >= before - _NOISE:
        said.append(
            f"the registration is worse than its affine: NCC {after:.3f} in the fixed brain, "
            f"{before:.3f} by the affine alone"
        )
    if not after >= LEAST_NCC:
        said.append(
            f"the brains are hardly alike: NCC {after:.3f}, {LEAST_NCC:g} is usual at least"
        )
    if not folded <= MOST_FOLDING_PERCENT:
        said.append(
            f"the map folds in {folded:.2g} % of the fixed brain, "
            f"{MOST_FOLDING_PERCENT:g} % is usual at most"
        )
    return said
