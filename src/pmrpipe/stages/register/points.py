"""Tables of points as people have them: read, and written again with other coordinates.

Read are .csv and .tsv with commas, semicolons or tabs, and 3D Slicer's .fcsv. Columns are x, y, z
under names such as X, x_mm or "x (mm)"; r, a, s and l, p, s (Slicer's tables) say their frame too.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import whole_rows, write_text

if TYPE_CHECKING:
    import pandas as pd

Frame = Literal["RAS", "LPS"]
# Names of three columns, and the frame that they state.
_AXES: tuple[tuple[str, Frame | None], ...] = (("xyz", None), ("ras", "RAS"), ("lps", "LPS"))
_EXPECTED = "its header names x, y, z (mm), separated by commas, semicolons or tabs"
# Markups files number their frames up to version 4.10, and name them since.
_SLICER_FRAMES: dict[str, Frame] = {"0": "RAS", "RAS": "RAS", "1": "LPS", "LPS": "LPS"}


@dataclass(frozen=True)
class Points:
    """A table of points.

    table : every column as text
    columns : names of its three columns of coordinates
    frame : of the coordinates, None where the file does not state it
    comments : lines above the table, of .fcsv
    """

    table: pd.DataFrame
    columns: tuple[str, str, str]
    frame: Frame | None
    coordinates: np.ndarray
    comments: tuple[str, ...] = ()

    def moved(self, coordinates: np.ndarray) -> Points:
        """The same with other coordinates (3, N), mm."""
        texts = {
            name: [f"{value:.6g}" if abs(value) < 1e5 else repr(float(value)) for value in values]
            for name, values in zip(self.columns, coordinates, strict=True)
        }
        return replace(self, table=self.table.assign(**texts), coordinates=coordinates)


def read_points(path: str | os.PathLike[str]) -> Points:
    """Read a table of points; coordinates are (3, N) in mm, in the file's own frame.

    Raises
    ------
    InputError : no table, no columns of coordinates, a coordinate that is no number, or a frame
        that is neither RAS nor LPS
    """
    comments, lines, first = _lines(Path(path))
    table = _table(path, comments, lines)
    columns, stated = _columns(path, list(table.columns))
    slicer = _slicer_frame(path, comments)
    if stated and slicer and stated != slicer:
        raise InputError(path, f"says {slicer} above the table and {stated} in it", "correct it")
    decimal = _separator(lines[0]) == ";"
    numbers = np.stack([_numbers(table[name], decimal) for name in columns])
    if not np.isfinite(numbers).all():
        row = int(np.argmin(np.isfinite(numbers).all(axis=0)))
        raise InputError(path, f"line {row + first} holds a coordinate that is no number")
    return Points(table, columns, slicer or stated, numbers, tuple(comments))


def write_points(path: str | os.PathLike[str], points: Points) -> None:
    """Write them by the suffix: .tsv with tabs, .fcsv as 3D Slicer reads it, else with commas.

    Raises
    ------
    InputError : .fcsv for points that were not read from one
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".fcsv":
        if not points.comments:
            problem = "is Slicer's format, and the points were not read from such a file"
            raise InputError(path, problem, "write .csv or .tsv")
        body = points.table.to_csv(index=False, header=False, lineterminator="\n")
        write_text(path, "".join(f"{line}\n" for line in points.comments) + body)
        return
    separator = "\t" if suffix == ".tsv" else ","
    write_text(path, points.table.to_csv(sep=separator, index=False, lineterminator="\n"))


def _lines(path: Path) -> tuple[list[str], list[str], int]:
    """Comments above the table, the table's lines, and the line number of its first point."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(path, "no such file") from None
    except (OSError, ValueError) as error:
        raise InputError(path, f"is not a table of points ({error})", _EXPECTED) from None
    if text.lstrip().startswith("{"):
        problem = "is JSON, not a table of points"
        raise InputError(path, problem, "export it from 3D Slicer as .fcsv, or as a table")
    lines = text.splitlines()
    comments = [line for line in lines if line.startswith("#")]
    table = [line for line in lines if line.strip() and not line.startswith("#")]
    header = _slicer_columns(comments)
    if header:
        return comments, [header, *table], len(comments) + 1
    if not table:
        raise InputError(path, "is not a table of points (it is empty)", _EXPECTED)
    return [], table, len(comments) + 2


def _slicer_columns(comments: Sequence[str]) -> str | None:
    for line in comments:
        match = re.match(r"#\s*columns\s*=\s*(.+)", line)
        if match:
            return match[1].strip()
    return None


def _slicer_frame(path: object, comments: Sequence[str]) -> Frame | None:
    for line in comments:
        match = re.match(r"#\s*CoordinateSystem\s*=\s*(\S+)", line)
        if match and match[1] not in _SLICER_FRAMES:
            problem = f"its coordinates are in {match[1]}, not in RAS or LPS"
            raise InputError(path, problem, "save it again in LPS")
        if match:
            return _SLICER_FRAMES[match[1]]
    return None


def _separator(header: str) -> str:
    return max("\t;,", key=header.count)


def _table(path: object, comments: Sequence[str], lines: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    separator = "," if comments else _separator(lines[0])
    try:
        with whole_rows():
            return pd.read_csv(
                io.StringIO("\n".join(lines)),
                sep=separator,
                dtype=str,
                keep_default_na=False,
                index_col=False,
            )
    except ValueError as error:
        raise InputError(path, f"is not a table of points ({error})", _EXPECTED) from None


def _columns(path: object, names: list[str]) -> tuple[tuple[str, str, str], Frame | None]:
    """The three columns of coordinates, and the frame that their names state."""
    plain: dict[str, str] = {}
    for name in names:
        plain.setdefault(re.sub(r"[\s_]*[\[(]?mm[\])]?$", "", name.strip().lower()), name)
    for axes, frame in _AXES:
        if all(axis in plain for axis in axes):
            first, second, third = (plain[axis] for axis in axes)
            return (first, second, third), frame
    if all(re.fullmatch(r"\s*-?[\d.,eE+-]*\d\s*", name) for name in names):
        raise InputError(path, "has no header line", _EXPECTED)
    absent = [axis for axis in "xyz" if axis not in plain]
    raise InputError(path, f"has no column {', '.join(absent)}", _EXPECTED)


def _numbers(texts: pd.Series, decimal_comma: bool) -> np.ndarray:
    """NaN where a text is no number; where semicolons part columns, a comma is a decimal point."""
    import pandas as pd

    plain = texts.str.strip()
    if decimal_comma:
        plain = plain.str.replace(",", ".", regex=False)
    return pd.to_numeric(plain, errors="coerce").to_numpy(float)


def frame_of(path: object, points: Points, frame: Frame | None) -> Frame:
    """The frame that the file states, else the one that is named, else RAS.

    Raises
    ------
    InputError : both, and they differ
    """
    if frame is not None and frame not in get_args(Frame):
        raise InputError("--frame", f"{frame} is neither RAS nor LPS", "name one of them")
    if frame and points.frame and frame != points.frame:
        problem = f"states its frame, {points.frame}, and --frame says {frame}"
        raise InputError(path, problem, "leave --frame out")
    return points.frame or frame or "RAS"
