"""antspyx without the parts that nothing here calls, whose import takes longer than its own."""

from __future__ import annotations

import sys
from types import ModuleType

# Of antspyx 0.6.3; learning and plotting bring scikit-learn and matplotlib.
_UNUSED = (
    "ants.deeplearn",
    "ants.learn",
    "ants.plotting",
    "statsmodels",
    "statsmodels.api",
    "statsmodels.formula",
    "statsmodels.formula.api",
)


def spare_ants_imports() -> None:
    """Have antspyx imported without learning, plotting and statistics: in half of its time.

    For a process that is pmrpipe's alone: in it `ants.plot` and its like are missing. Where
    antspyx or statsmodels is there already, nothing changes.
    """
    if {"ants", "statsmodels"} & sys.modules.keys():
        return
    for name in _UNUSED:
        sys.modules[name] = ModuleType(name)
