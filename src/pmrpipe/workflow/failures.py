"""After a failed run: say again, in one place, which jobs failed and why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pmrpipe.study.keys import KEY_PATTERN

_ERROR = re.compile(r"^pmrpipe [a-z-]+: error: (.*)$", re.MULTILINE)
# How the command line begins the last line of an exception that nobody foresaw.
_UNEXPECTED = "unexpected "
# How a job is told that was killed: its log holds no error.
_SILENT = "ended without an error"
_LOG = re.compile(r"^ +log: (.*?)(?: \(check log file.*)?$")
_TRACEBACK = "Traceback (most recent call last):"


def explanations(logs: Path, since: float, runs: Iterable[Path] = ()) -> Iterator[str]:
    """What went wrong in the jobs whose logs were written after `since` (seconds of the epoch).

    Parameters
    ----------
    logs : folder of the jobs' logs
    runs : Snakemake's own logs of this run, which know the jobs that ended without a word
    """
    failed = {path for run in runs for path in _failed(run)}
    for log in sorted({*logs.rglob("*.log"), *(path for path in failed if logs in path.parents)}):
        if log.exists() and log.stat().st_mtime < since:
            continue
        text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        why = _reason(text) or (_silent(text) if log in failed else "")
        if why:
            yield from _told(log, _job(log.relative_to(logs)), why)


def _told(log: Path, job: str, why: str) -> Iterator[str]:
    where = f"{job}: " if why.startswith((_UNEXPECTED, _SILENT)) else ""
    yield f"pmrpipe: {where}{why}"
    yield f"    whole log: {log}"
    if re.fullmatch(KEY_PATTERN, log.stem) and not why.startswith(_SILENT):
        yield "    to go on without it, add to the configuration:"
        yield f'        exclude: {{{log.stem}: "why it is left out"}}'


def _failed(run: Path) -> Iterator[Path]:
    """Logs of the jobs that Snakemake says have failed."""
    inside = False
    for line in run.read_text(encoding="utf-8", errors="replace").splitlines():
        inside = line.startswith("Error in ") or (inside and line.startswith(" "))
        named = _LOG.match(line) if inside else None
        if named:
            yield Path(named[1])


def _silent(text: str) -> str:
    """What is said of a job that was stopped from outside, with the last that it said itself."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = f"; its last line: {lines[-1]}" if lines else ""
    return f"{_SILENT}, as a job that is killed does (for want of memory, or of time){last}"


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
