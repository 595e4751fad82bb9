"""Preprocess one scan in a process of its own: `python -m pmrpipe.stages.preprocess.worker`.

It reads one JSON object from standard input: `t1w`, `root`, `mm`, `key`, and `options`, the
others of `Preprocessing`. It writes one to standard output: empty, or `subject`,
`problem`, `remedy` and `exit_code` of what went wrong. Everything that libraries print goes to
standard error.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from pmrpipe.base.ants_imports import spare_ants_imports
from pmrpipe.base.errors import PmrpipeError, WorkError


def main() -> int:
    """Do what standard input says; 0, or the exit code of the error that is told."""
    # A polite kill ends as Ctrl-C does: temporary files are cleared.
    signal.signal(signal.SIGTERM, _terminated)
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    spare_ants_imports()
    error = _error_of(json.load(sys.stdin))
    told = {} if error is None else vars(error) | {"exit_code": error.exit_code}
    json.dump(told, answer)
    answer.close()
    return 0 if error is None else error.exit_code


def _terminated(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def _error_of(job: dict[str, Any]) -> PmrpipeError | None:
    from pmrpipe.stages.preprocess.workflow import run
    from pmrpipe.study.options.preprocessing import Preprocessing
    from pmrpipe.study.paths import Results

    options = Preprocessing(mm=job["mm"], **job["options"])
    try:
        run(Path(job["t1w"]), Results.of(Path(job["root"]), options), job["key"], options)
    except PmrpipeError as error:
        return error
    except OSError as error:  # a full disk, a folder that vanished
        if error.errno is None:
            raise
        return WorkError(error.filename or job["t1w"], error.strerror or "cannot be read")
    except MemoryError:
        return WorkError(job["t1w"], "out of memory", "close other programs, or raise mm")
    return None


if __name__ == "__main__":
    sys.exit(main())
