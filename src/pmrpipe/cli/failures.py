"""After a failed run: say again, in one place, which jobs failed and why."""

from __future__ import annotations

import re
from pathlib import Path

from pmrpipe.cli.messages import say
from pmrpipe.paths import KEY_PATTERN

_ERROR = re.compile(r"^pmrpipe [a-z-]+: error: (.*)$", re.MULTILINE)


def explain(logs: Path, since: float) -> None:
    """Repeat the error lines of all rule logs written after `since` (seconds of the epoch)."""
    for log in sorted(logs.rglob("*.log")):
        if log.stat().st_mtime < since:
            continue
        lines = _ERROR.findall(log.read_text(encoding="utf-8", errors="replace"))
        if not lines:
            continue
        say(f"pmrpipe: {lines[-1]}")
        say(f"    whole log: {log}")
        if re.fullmatch(KEY_PATTERN, log.stem):
            say("    to go on without it, add to the configuration:")
            say(f'        exclude: {{{log.stem}: "why it is left out"}}')
