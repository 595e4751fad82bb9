"""The little that stands between our volumes and antspyx."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import numpy as np

from pmrpipe.images.volume import Volume

_THREADS = "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"
_log = logging.getLogger(__name__)
_fixed: list[int] = []


def load_ants(threads: int, seed: int | None = None) -> Any:
    """Import antspyx with a fixed number of threads and, for registration, a fixed seed.

    ITK reads the number once per process, so the first call decides. antspyx 0.6.3 takes the seed
    from its configuration alone and silently ignores `registration(random_seed=...)`.
    """
    if not _fixed:
        if "ants" in sys.modules and os.environ.get(_THREADS) != str(threads):
            _log.warning("antspyx was there before: its threads may not be %d", threads)
        os.environ[_THREADS] = str(threads)
        _fixed.append(threads)
    elif _fixed[0] != threads:
        _log.warning("ITK keeps %d threads in this process, not %d", _fixed[0], threads)
    import ants

    # Not set_ants_deterministic: it would also reseed numpy and random behind their users' backs.
    ants.config._random_seed = seed
    return ants


def to_ants(volume: Volume, ants: Any) -> Any:
    """The same image for antspyx, float32; ITK's world is LPS, so x and y change their sign."""
    flip = np.diag([-1.0, -1.0, 1.0])
    return ants.from_numpy(
        np.asarray(volume.data, np.float32),
        origin=list(flip @ volume.affine[:3, 3]),
        spacing=list(volume.spacing),
        direction=flip @ (volume.affine[:3, :3] / np.asarray(volume.spacing)),
    )
