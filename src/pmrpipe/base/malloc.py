"""How this process gives memory back."""

from __future__ import annotations

import ctypes

# Parameters of glibc's mallopt, from malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_ALL = 2**31 - 1


def keep_freed_memory(up_to_mb: int | None = None) -> bool:
    """Let freed blocks of up to so many MiB (None: all) be used again by this process.

    glibc hands big blocks back to the kernel at once, which zeroes every page of the next one: at
    1 mm that is more than half the time of an instance optimisation. The price is a peak that
    is higher by what lies free in between. False where there is no glibc: nothing changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    largest = _ALL if up_to_mb is None else up_to_mb * 2**20
    return bool(mallopt(_MMAP_THRESHOLD, largest)) and bool(mallopt(_TRIM_THRESHOLD, _ALL))
