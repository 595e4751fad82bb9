"""Whether the names of two scans say that they are of one person, or of one contrast."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pmrpipe.base.errors import InputError

_SAID = {
    "person": re.compile(r"(sub-[A-Za-z0-9]+)(?=[_.])"),
    "contrast": re.compile(r"_(T1w|T2w|PDw|FLAIR|inplaneT2)\."),
}


def require_one(what: Literal["person", "contrast"], first: Path, other: Path) -> None:
    """Raises InputError where both names say it and say two; a name that says nothing passes."""
    ours, theirs = (_SAID[what].search(path.name) for path in (first, other))
    if ours and theirs and ours[1] != theirs[1]:
        problem = f"is of another {what} than {first.name}, {theirs[1]}"
        raise InputError(other, problem, f"give scans of one {what}")
