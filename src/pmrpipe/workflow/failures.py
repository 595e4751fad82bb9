"""After a failed run: say again, in one place, which jobs failed and why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pmrpipe.study.paths import KEY_PATTERN

_ERROR = re.compile(r"^pmrpipe [a-z-]+: error: (.*)$", re.MULTILINE)
# How the command line begins the last line of an exception that nobody foresaw.
_UNEXPECTED = "unexpected "
_TRACEBACK = "Traceback (most recent call last):"


def explanations(logs: Path, since: float) -> Iterator[str]:
    """The error lines of all rule logs written after `since` (seconds of the epoch)."""
    for log in sorted(logs.rglob("*.log")):
        if log.stat().st_mtime < since:
            continue
        why = _reason(log.read_text(encoding="utf-8", errors="replace"))
        if not why:
            continue
        where = f"{_job(log.relative_to(logs))}: " if why.startswith(_UNEXPECTED) else ""
        yield f"pmrpipe: {where}{why}"
        yield f"    whole log: {log}"
        if re.fullmatch(KEY_PATTERN, log.stem):
            yield "    to go on without it, add to the configuration:"
            yield f'        exclude: {{{log.stem}: "why it is left out"}}'


def _reason(text: str) -> str:
    """The error line of a log, or the end of its traceback; empty when nothing failed."""
    errors = _ERROR.findall(text)
    if errors:
        return errors[-1]
    lines = [line for line in text.splitlines() if line.strip()]
    # An exception in a destructor is told so, and ends nothing.
    fatal = any(
        line.startswith(_TRACEBACK) and not before.startswith("Exception ignored")
        for before, line in zip(["", *lines], lines, strict=False)
    )
    return f"{_UNEXPECTED}{lines[-1].strip()}" if fatal else ""


def _job(log: Path) -> str:
    """Rule, and scan or method and batch, as a log's place below the logs tells them."""
    stage, *rest = log.with_suffix("").parts
    scan = bool(re.fullmatch(KEY_PATTERN, log.stem))
    return " ".join([stage, log.stem if scan else "/".join(rest)]).strip()
