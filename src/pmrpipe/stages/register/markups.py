"""Points of 3D Slicer's .mrk.json, as the text of a table."""

from __future__ import annotations

import json
from typing import Any

from pmrpipe.base.errors import InputError

# Slicer's own names of the frames.
_FRAMES = {"LPS": "lps", "RAS": "ras"}
_REMEDY = "save one list of points in 3D Slicer, in mm"


def table_of(path: object, text: str) -> list[str]:
    """The lines of a table with tabs: label and three columns that name the frame.

    Raises
    ------
    InputError : no markups, several lists of them, other units than mm, no point that is placed
    """
    lists = _lists(path, text)
    if len(lists) != 1:
        raise InputError(path, f"holds {len(lists)} lists of points, not one", _REMEDY)
    frame = _FRAMES.get(str(lists[0].get("coordinateSystem", "LPS")))
    units = lists[0].get("coordinateUnits", "mm")
    if frame is None or units not in ("mm", ["mm", "mm", "mm"]):
        raise InputError(path, f"is in {lists[0].get('coordinateSystem')}, {units}", _REMEDY)
    points = lists[0].get("controlPoints")
    if not isinstance(points, list) or not points:
        raise InputError(path, "holds no point", _REMEDY)
    return ["\t".join(("label", *frame)), *(_line(path, point) for point in points)]


def _lists(path: object, text: str) -> list[dict[str, Any]]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(path, "is not JSON as 3D Slicer writes it", _REMEDY) from None
    lists = content.get("markups") if isinstance(content, dict) else None
    if not isinstance(lists, list) or not all(isinstance(one, dict) for one in lists):
        raise InputError(path, "is JSON, but holds no markups of 3D Slicer", _REMEDY)
    return lists


def _line(path: object, point: Any) -> str:
    position = point.get("position") if isinstance(point, dict) else None
    if not isinstance(position, list) or len(position) != 3:
        raise InputError(path, "holds a point without a position", _REMEDY)
    label = " ".join(str(point.get("label", "")).split())
    return "\t".join((label, *(str(value) for value in position)))
