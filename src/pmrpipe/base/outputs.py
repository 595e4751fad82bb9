"""No output takes the place of an input."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_json


def is_one_of(path: str | os.PathLike[str], inputs: Iterable[str | os.PathLike[str]]) -> bool:
    """Whether `path` is the same file as an input: links and relative paths included."""
    return any(_same(Path(path), Path(other)) for other in inputs)


def require_folder(path: str | os.PathLike[str]) -> None:
    """Raises InputError when results would go below a file."""
    for place in (Path(path), *Path(path).parents):
        if os.path.lexists(place):
            if not place.is_dir():
                raise InputError(place, "is no folder, and results go to one", "name a folder")
            return


def require_no_input(
    path: str | os.PathLike[str],
    inputs: Iterable[str | os.PathLike[str]],
    remedy: str = "choose another --output, or say --overwrite",
) -> None:
    """Raises InputError when the output `path` is an input."""
    if is_one_of(path, inputs):
        raise InputError(path, "is an input, and the output would take its place", remedy)


def require_replaceable(
    there: Sequence[Path], inputs: Iterable[Path], verb: str, facts: Path, key: str
) -> None:
    """No result takes the place of an input, or of a file of others.

    Parameters
    ----------
    there : files of the result's names that are there
    verb : what writes the result
    facts : JSON file of an earlier result, which names pmrpipe and has `key`

    Raises
    ------
    InputError : a file is an input (also by a link), or there is one that `verb` did not write
    """
    for path in there:
        require_no_input(path, inputs)
    if there and not _is_own(facts, key):
        problem = f"was not written by pmrpipe {verb}, and the result would take its place"
        raise InputError(there[0], problem, "choose another --output, or say --overwrite")


def _is_own(facts: Path, key: str) -> bool:
    try:
        content = read_json(facts)
    except InputError:
        return False
    maker = content.get("GeneratedBy") if isinstance(content, dict) else None
    return isinstance(maker, dict) and maker.get("Name") == "pmrpipe" and key in content


def _same(first: Path, second: Path) -> bool:
    try:
        return os.path.samefile(first, second)
    except OSError:  # one of them does not exist, or is a link to nothing
        return os.path.abspath(first) == os.path.abspath(second)
