"""Preprocessing in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pmrpipe.base.errors import InputError, PmrpipeError, WorkError
from pmrpipe.base.threads import ITK_THREADS
from pmrpipe.native.request import Which

_WORKER = "pmrpipe.stages.preprocess.worker"


@dataclass(frozen=True)
class Job:
    """What the worker reads; `options` are keyword arguments of `preprocess.workflow.run`."""

    t1w: str
    root: str
    mm: float
    key: str
    options: Mapping[str, Any]


class Running:
    """Jobs at work."""

    def __init__(self) -> None:
        self.jobs: dict[Which, tuple[Job, subprocess.Popen[str]]] = {}

    def errors(self) -> Iterator[tuple[Which, PmrpipeError]]:
        """Wait for all, one after the other, and yield what went wrong."""
        for which, (job, process) in self.jobs.items():
            answer, complaint = process.communicate()
            error = _told(job, process.returncode, answer, complaint)
            if error is not None:
                yield which, error


@contextmanager
def running_jobs(jobs: Mapping[Which, Job], space: Path) -> Iterator[Running]:
    """Start all jobs at once; none is left running afterwards.

    Parameters
    ----------
    space : folder for the temporary files of the processes
    """
    running = Running()
    try:
        for which, job in jobs.items():
            running.jobs[which] = job, _start(job, space)
        yield running
    finally:
        for _, process in running.jobs.values():
            process.kill()
            process.wait()


def _start(job: Job, space: Path) -> subprocess.Popen[str]:
    package = str(Path(__file__).resolve().parents[2])
    known = os.environ.get("PYTHONPATH")
    environment = {
        **os.environ,
        ITK_THREADS: "1",
        "TMPDIR": str(space),
        "PYTHONPATH": os.pathsep.join([package, *([known] if known else [])]),
    }
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-m", _WORKER],
        env=environment,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        text=True,
    )
    assert process.stdin is not None
    json.dump(asdict(job), process.stdin)
    process.stdin.close()
    process.stdin = None  # communicate would flush it again
    return process


def _told(job: Job, code: int, answer: str, complaint: str) -> PmrpipeError | None:
    """The error of a process that has ended, or None."""
    if code == 0:
        return None
    try:
        told = json.loads(answer)
        kind = InputError if told["exit_code"] == InputError.exit_code else WorkError
        return kind(told["subject"], told["problem"], told["remedy"])
    except (ValueError, KeyError):
        last = complaint.strip().rpartition("\n")[2]
        return WorkError(job.t1w, f"preprocessing ended with exit code {code} ({last})")
