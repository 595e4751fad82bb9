"""Threads of torch and ITK for a piece of work, and the caller's own again after it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

ITK_THREADS = "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"


def all_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Torch, and ITK if it is loaded inside for the first time, work with so many threads.

    Afterwards torch's number and `os.environ` are what they were. ITK reads its number once per
    process and keeps it.
    """
    import torch

    before, known = torch.get_num_threads(), os.environ.get(ITK_THREADS)
    os.environ[ITK_THREADS] = str(threads)
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        if known is None:
            os.environ.pop(ITK_THREADS, None)
        else:
            os.environ[ITK_THREADS] = known
