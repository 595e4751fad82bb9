"""What a label map measures: volumes, and how left and right differ."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from pmrpipe.study.space import Space

COLUMNS = ("subject", "label", "name", "region", "volume_mm3", "asymmetry", "icv_mm3")
# How names say the side: Left Hippocampus, Left-Hippocampus, ctx-lh-cuneus, L hippocampus.
_LEFT = re.compile(r"(?<![A-Za-z])(left|lh|l)(?![A-Za-z])", re.IGNORECASE)
_OTHER = {"left": "right", "lh": "rh", "l": "r"}


def volumes(
    labels: np.ndarray, affine: np.ndarray, table: pd.DataFrame, subject: str, icv: float
) -> pd.DataFrame:
    """Volume of each label of the table and of each of its regions, `COLUMNS`.

    `asymmetry` is (left - right) / (left + right) / 2 of a label and its counterpart on the other
    side, for both; empty for what has none. Rows of regions have no label.

    Parameters
    ----------
    labels : (X, Y, Z) integers
    affine : (4, 4) voxel index to mm
    table : index, name, region
    icv : intracranial volume, mm^3
    """
    import pandas as pd

    voxel = abs(np.linalg.det(affine[:3, :3]))
    numbers, counts = np.unique(labels, return_counts=True)
    sizes = dict(zip(numbers.tolist(), (counts * voxel).tolist(), strict=True))
    rows = table[["index", "name", "region"]].rename(columns={"index": "label"})
    rows = rows.assign(volume_mm3=[sizes.get(n, 0.0) for n in rows["label"]])
    rows["asymmetry"] = _asymmetries(dict(zip(rows["name"], rows["volume_mm3"], strict=True)))
    sums = rows.dropna(subset="region").groupby("region", sort=False)["volume_mm3"].sum()
    regions = pd.DataFrame({"name": sums.index, "region": sums.index, "volume_mm3": sums.values})
    whole = pd.concat([rows, regions], ignore_index=True)
    whole = whole.assign(
        subject=subject, icv_mm3=round(icv, 1), label=whole["label"].astype("Int64")
    )
    return whole.round({"volume_mm3": 2, "asymmetry": 5})[list(COLUMNS)]


def intracranial_volume(space: Space, affine: np.ndarray) -> float:
    """The template's brain brought to a scan, mm^3: its volume by the affine's determinant.

    Parameters
    ----------
    affine : (4, 4), RAS mm, points of the template to points of the scan
    """
    mask = space.mask(1.0)
    own = float(mask.data.sum()) * abs(float(np.linalg.det(mask.affine[:3, :3])))
    return own * abs(float(np.linalg.det(affine[:3, :3])))


def _asymmetries(sizes: dict[str, float]) -> list[float]:
    values = dict.fromkeys(sizes, float("nan"))
    for name, left in sizes.items():
        other = counterpart(name)
        if other in sizes and left + sizes[other] > 0:
            values[name] = values[other] = (left - sizes[other]) / (left + sizes[other]) / 2
    return list(values.values())


def counterpart(name: str) -> str | None:
    """The right side's name of a label of the left side; None for any other."""
    sides = list(_LEFT.finditer(name))
    if len(sides) != 1:
        return None
    said = sides[0].group()
    other = _OTHER[said.lower()]
    other = other.upper() if said.isupper() else other.capitalize() if said[0].isupper() else other
    return name[: sides[0].start()] + other + name[sides[0].end() :]
