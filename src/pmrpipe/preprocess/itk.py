"""The little that stands between our volumes and antspyx."""

from __future__ import annotations

import logging
import os
from typing import Any

import numpy as np

from pmrpipe.volume import Volume

_THREADS = "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"
_log = logging.getLogger(__name__)
_fixed: list[int] = []


def load_ants(threads: int) -> Any:
    """Import antspyx with a fixed number of threads.

    ITK reads the number once per process, so the first call decides.
    """
    if not _fixed:
        os.environ[_THREADS] = str(threads)
        _fixed.append(threads)
    elif _fixed[0] != threads:
        _log.warning("ITK keeps %d threads in this process, not %d", _fixed[0], threads)
    import ants

    return ants


def to_ants(volume: Volume, threads: int = 1) -> Any:
    """The same image for antspyx, float32; ITK's world is LPS, so x and y change their sign."""
    ants = load_ants(_fixed[0] if _fixed else threads)
    flip = np.diag([-1.0, -1.0, 1.0])
    return ants.from_numpy(
        np.asarray(volume.data, np.float32),
        origin=list(flip @ volume.affine[:3, 3]),
        spacing=list(volume.spacing),
        direction=flip @ (volume.affine[:3, :3] / np.asarray(volume.spacing)),
    )
