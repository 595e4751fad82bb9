"""After a failed run: say again, in one place, which jobs failed and why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pmrpipe.study.paths import KEY_PATTERN

_ERROR = re.compile(r"^pmrpipe [a-z-]+: error: (.*)$", re.MULTILINE)


def explanations(logs: Path, since: float) -> Iterator[str]:
    """The error lines of all rule logs written after `since` (seconds of the epoch)."""
    for log in sorted(logs.rglob("*.log")):
        if log.stat().st_mtime < since:
            continue
        lines = _ERROR.findall(log.read_text(encoding="utf-8", errors="replace"))
        if not lines:
            continue
        yield f"pmrpipe: {lines[-1]}"
        yield f"    whole log: {log}"
        if re.fullmatch(KEY_PATTERN, log.stem):
            yield "    to go on without it, add to the configuration:"
            yield f'        exclude: {{{log.stem}: "why it is left out"}}'
