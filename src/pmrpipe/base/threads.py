"""Threads of torch, ITK and numpy for a piece of work, and the caller's own again after it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
ITK_THREADS = "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"
# How many threads numpy's and scipy's work may take: one, but inside `limited_threads`.
_allowed = {"threads": 1}


def each(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """`work` of every item, in their order, several at once inside `limited_threads`.

    For work that leaves the interpreter: numpy's, scipy's, compression, files. The first exception
    is raised again.
    """
    threads, items = _allowed["threads"], list(items)
    if threads == 1 or len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(min(threads, len(items))) as pool:
        return list(pool.map(work, items))


def all_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Torch, `each`, and ITK if it is loaded inside for the first time, take so many threads.

    Afterwards torch's number and `os.environ` are what they were. ITK reads its number once per
    process and keeps it.
    """
    import torch

    before, known = torch.get_num_threads(), os.environ.get(ITK_THREADS)
    os.environ[ITK_THREADS] = str(threads)
    torch.set_num_threads(threads)
    several, _allowed["threads"] = _allowed["threads"], threads
    try:
        yield
    finally:
        _allowed["threads"] = several
        torch.set_num_threads(before)
        if known is None:
            os.environ.pop(ITK_THREADS, None)
        else:
            os.environ[ITK_THREADS] = known
