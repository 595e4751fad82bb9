"""Label tables as people have them: our own, BIDS's dseg.tsv, FreeSurfer's and ITK-SNAP's lists."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pmrpipe.base.errors import InputError

_YES, _NO = {"1", "1.0", "yes", "true", "y"}, {"0", "0.0", "no", "false", "n"}
_MISSING = {"", "n/a", "na", "nan"}
# FreeSurferColorLUT.txt: No. Label Name R G B A. ITK-SNAP: IDX R G B A VIS MESH "LABEL".
_FREESURFER = re.compile(r"\s*(\d+)\s+(\S+)(?:\s+\d+){3,4}\s*")
_ITK_SNAP = re.compile(r"\s*(\d+)(?:\s+[\d.]+){6}\s+\"(.*)\"\s*")
_FORMATS = (
    "give a TSV with the columns index, name, region, scored (BIDS: index, name), or a colour "
    "table of FreeSurfer or ITK-SNAP"
)


@dataclass(frozen=True)
class Label:
    """One row of a table: `region` is None outside of all regions."""

    index: int
    name: str
    region: str | None = None
    scored: bool = True


def read_labels_of(path: Path) -> list[Label]:
    """The rows of a label table in any of the known formats, the background among them.

    Raises
    ------
    InputError : no text, none of the formats, or a cell that cannot be understood
    """
    lines = _lines(path)
    rows = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    for pattern in (_FREESURFER, _ITK_SNAP):
        matches = [pattern.fullmatch(row) for row in rows]
        if rows and all(matches):
            return [Label(int(match[1]), match[2]) for match in matches if match]
    return list(_from_columns(path, lines))


def _lines(path: Path) -> list[str]:
    try:
        # Spreadsheets write a mark of the byte order before the first column.
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(path, f"is no label table ({reason})", _FORMATS) from None


def _from_columns(path: Path, lines: list[str]) -> Iterator[Label]:
    reader = csv.DictReader(lines, delimiter="\t")
    if "index" not in (reader.fieldnames or ()):
        commas = bool(lines) and "index" in lines[0].split(",")
        problem = "is separated by commas, not tabs" if commas else "has no column index"
        raise InputError(path, problem, _FORMATS)
    for row in reader:
        if any(cell for cell in row.values() if isinstance(cell, str)):
            yield _label(path, reader.line_num, row)


def _label(path: Path, line: int, row: dict[str, str | None]) -> Label:
    index = _index(path, line, row["index"])
    name = (row.get("name") or "").strip() or f"label {index}"
    region = (row.get("region") or "").strip()
    scored = True if "scored" not in row else _scored(path, line, index, row["scored"])
    return Label(index, name, None if region.lower() in _MISSING else region, scored)


def _index(path: Path, line: int, cell: str | None) -> int:
    text = (cell or "").strip()
    if not re.fullmatch(r"\d+(\.0*)?", text):
        problem = f"line {line}: column index must hold whole numbers above 0, not {text!r}"
        raise InputError(path, problem, "correct the row")
    return int(text.partition(".")[0])


def _scored(path: Path, line: int, index: int, cell: str | None) -> bool:
    text = (cell or "").strip().lower()
    if text in _YES or text in _NO:
        return text in _YES
    if index == 0:
        return False
    problem = f"line {line}: column scored says {cell!r} for label {index}"
    raise InputError(path, problem, "write 1 (yes) or 0 (no)")
