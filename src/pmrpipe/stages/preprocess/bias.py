"""N4 bias correction (Tustison et al., IEEE TMI 29 (2010) 1310), optional."""

from __future__ import annotations

import numpy as np

from pmrpipe.base.seed import SEED
from pmrpipe.images.extremes import tamed_brain
from pmrpipe.images.itk import load_ants, to_ants
from pmrpipe.images.volume import Volume

# Fitted on voxels of 4 mm: the field is smooth, and a scan takes seconds instead of minutes.
_FITTED_MM = 4.0
_CONVERGENCE = {"iters": [50, 50, 50, 50], "tol": 1e-7}


def without_bias(brain: Volume, mask: Volume, *, seed: int = SEED) -> np.ndarray:
    """The brain divided by its bias field, float32 (X, Y, Z), 0 outside the mask.

    Parameters
    ----------
    brain : brain on the native grid, background 0
    mask : (X, Y, Z) bool on the same grid; the field is fitted inside it

    On one thread: ITK's sums depend on their number.
    """
    ants = load_ants(1, seed)
    shrink = max(1, round(_FITTED_MM / max(brain.spacing)))
    inside = to_ants(Volume(mask.data.astype(np.float32), mask.affine), ants)
    tamed = Volume(tamed_brain(brain.data, mask.data), brain.affine)
    corrected = ants.n4_bias_field_correction(
        to_ants(tamed, ants), mask=inside, shrink_factor=shrink, convergence=_CONVERGENCE
    )
    return np.where(mask.data, corrected.numpy().astype(np.float32), np.float32(0))
