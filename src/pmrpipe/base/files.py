"""Whole files or none: atomic writing, and the small formats that every stage uses."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
import tempfile
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pmrpipe.base.errors import InputError, WorkError

if TYPE_CHECKING:
    import pandas as pd

MISSING = "n/a"
_UNFINISHED = ".tmp-"
_reading_umask = threading.Lock()


@contextlib.contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`, with its suffixes, renamed to it on success.

    Raises
    ------
    WorkError : the folder cannot be written or the disk is full
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Suffixes last, so that format is still recognised from the name; dot first, so that
        # no pattern takes the unfinished file for a result.
        handle, name = tempfile.mkstemp(
            dir=target.parent, prefix=_UNFINISHED, suffix="-" + target.name
        )
    except OSError as error:
        raise WorkError(target, f"cannot be written ({error.strerror})") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, target)
    except OSError as error:
        if error.errno is None or error.filename not in (None, name, str(temporary)):
            raise
        remedy = "free some space and run again"
        raise WorkError(target, f"cannot be written ({error.strerror})", remedy) from error
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    """The process's own: it can only be read by changing it, which is one thread's at a time."""
    with _reading_umask:
        current = os.umask(0)
        os.umask(current)
    return current


def remove_unfinished(folder: Path, before: float) -> None:
    """Remove what killed processes left in `folder`: temporary files older than `before`.

    `before` is in seconds of the epoch.
    """
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            if name.startswith(_UNFINISHED) and path.stat().st_mtime < before:
                path.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8, atomically; bytes of file names that are no UTF-8 stand as escapes."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content`, atomically."""
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Write `content` as indented JSON, atomically."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file; InputError when it is missing or not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(path, "no such file") from None
    except (OSError, ValueError) as error:
        raise InputError(path, f"is not readable JSON ({error})") from None


def write_tsv(path: str | os.PathLike[str], table: pd.DataFrame) -> None:
    """Write a table as tab-separated text with a header, atomically; missing cells are n/a."""
    text = table.to_csv(
        sep="\t", index=False, na_rep=MISSING, float_format="%.6g", lineterminator="\n"
    )
    write_text(path, text)


def write_rows(
    path: str | os.PathLike[str], columns: Sequence[str], rows: Iterable[Mapping[str, Any]]
) -> None:
    """Write rows as `write_tsv` does a table, without pandas, which is slow to import."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        cells = (row.get(name) for name in columns)
        writer.writerow([MISSING if cell is None else cell for cell in cells])
    write_text(path, text.getvalue())


def read_tsv(path: str | os.PathLike[str], required: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read a tab-separated table; InputError when it is missing, broken or lacks a column.

    Columns whose names end in `_id`, and `moving`, `fixed`, `region`, `name`, `split`, stay text.
    """
    import pandas as pd

    try:
        with whole_rows():
            table = pd.read_csv(
                path, sep="\t", dtype=str, na_values=[MISSING], keep_default_na=False,
                index_col=False,
            )  # fmt: skip
    except FileNotFoundError:
        raise InputError(path, "no such file") from None
    except (OSError, ValueError) as error:
        raise InputError(path, f"is not a tab-separated table ({error})") from None
    absent = [name for name in required if name not in table.columns]
    if absent:
        raise InputError(path, f"has no column {', '.join(absent)}", "check the header line")
    text = {"moving", "fixed", "region", "name", "split", "method", "label_name"}
    for name in table.columns:
        if name not in text and not name.endswith("_id"):
            with contextlib.suppress(ValueError, TypeError):
                table[name] = pd.to_numeric(table[name])
    return table


@contextlib.contextmanager
def whole_rows() -> Iterator[None]:
    """Within, pandas refuses rows with more cells than the heading has, in place of cutting them.

    Cells behind the heading's that are all empty are no matter: `index_col=False` drops them.
    """
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            yield
        except pd.errors.ParserWarning:
            raise ValueError("its rows have more cells than its heading") from None


def sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def cache_folder() -> Path:
    """Where what can be made again is kept: $PMRPIPE_CACHE, or pmrpipe in the user's cache."""
    named = os.environ.get("PMRPIPE_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(named or Path(home) / "pmrpipe").expanduser()
