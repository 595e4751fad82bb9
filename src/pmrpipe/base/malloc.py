"""How this process gives memory back."""

from __future__ import annotations

import ctypes

# Parameters of glibc's mallopt, from malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_ALL = 2**31 - 1
# What the process was told last; blocks of up to 0 bytes are kept before that.
_kept = {"up_to": 0, "done": False}


def keep_freed_memory(up_to_mb: int | None = None) -> bool:
    """Let freed blocks of up to so many MiB (None: all) be used again by this process.

    glibc hands big blocks back to the kernel at once, which zeroes every page of the next one: at
    1 mm that is more than half the time of an instance optimisation. The price is a peak that
    is higher by what lies free in between. Told once per process: a later call raises the bound
    and never lowers it. False where there is no glibc: nothing changes.
    """
    largest = _ALL if up_to_mb is None else up_to_mb * 2**20
    if largest > _kept["up_to"]:
        _kept.update(up_to=largest, done=_tell_malloc(largest))
    return bool(_kept["done"])


def _tell_malloc(largest: int) -> bool:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, largest)) and bool(mallopt(_TRIM_THRESHOLD, _ALL))
