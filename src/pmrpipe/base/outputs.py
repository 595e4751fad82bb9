"""No output takes the place of an input."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from pmrpipe.base.errors import InputError


def is_one_of(path: str | os.PathLike[str], inputs: Iterable[str | os.PathLike[str]]) -> bool:
    """Whether `path` is the same file as an input: links and relative paths included."""
    return any(_same(Path(path), Path(other)) for other in inputs)


def require_no_input(
    path: str | os.PathLike[str],
    inputs: Iterable[str | os.PathLike[str]],
    remedy: str = "choose another --output, or say --overwrite",
) -> None:
    """Raises InputError when the output `path` is an input."""
    if is_one_of(path, inputs):
        raise InputError(path, "is an input, and the output would take its place", remedy)


def _same(first: Path, second: Path) -> bool:
    try:
        return os.path.samefile(first, second)
    except OSError:  # one of them does not exist, or is a link to nothing
        return os.path.abspath(first) == os.path.abspath(second)
