"""Which of a method's pairs are shown."""

from __future__ import annotations

import pandas as pd


def choose_pairs(by_pair: pd.DataFrame) -> list[tuple[str, str, str, float]]:
    """Best, median and worst pair of a method's table: (role, moving, fixed, score).

    By Dice, or by NCC in a cohort without labels. Two pairs have no median, one is `only`.
    """
    column = "dice" if by_pair["dice"].notna().any() else "ncc"
    table = by_pair[["moving", "fixed", column]].dropna()
    table = table.sort_values([column, "moving", "fixed"], ignore_index=True)
    count = len(table)
    if count < 2:
        places = {"only": 0} if count else {}
    else:
        places = {"best": count - 1, "median": (count - 1) // 2, "worst": 0}
        if count == 2:
            del places["median"]
    return [(role, *table.iloc[place].tolist()) for role, place in places.items()]
