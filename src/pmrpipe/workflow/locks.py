"""Locks that a killed Snakemake left behind."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

_held: list[int] = []


def clear_dead_locks(folder: Path) -> bool:
    """Remove Snakemake's locks in `folder`/.snakemake unless a run that may own them is alive.

    Snakemake does not see that the owner of a lock was killed, and refuses to run until somebody
    calls `--unlock`. Each run therefore holds a shared lock of the operating system, which ends
    with the process; who can have it alone is the only run.

    Returns whether locks were removed. Does nothing where the folder cannot be written.
    """
    state = folder / ".snakemake"
    try:
        state.mkdir(exist_ok=True)
        descriptor = os.open(state / "running", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:
        return False
    _held.append(descriptor)
    dead: list[Path] = []
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        dead = [path for path in (state / "locks").glob("*.lock") if path.is_file()]
        for path in dead:
            path.unlink(missing_ok=True)
    except BlockingIOError:
        pass  # Another run is alive: its locks stay.
    except OSError:
        return False  # A file system without locks.
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return bool(dead)
