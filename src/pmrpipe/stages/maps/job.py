"""A scan's local volume in the template's space: the smoothed log-Jacobian of its registration."""

from __future__ import annotations

import numpy as np

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import write_json
from pmrpipe.images.jacobian import jacobian_determinant
from pmrpipe.images.resampling import sample_displacement
from pmrpipe.images.transforms import read_affine, read_field
from pmrpipe.images.volume import Volume, write_volume
from pmrpipe.study.options.mapping import Mapping
from pmrpipe.study.paths import Results
from pmrpipe.study.sidecar import sidecar_path

# Determinants below this one are those of folds, which have no logarithm.
_LEAST = 1e-3
# Full width at half maximum of a Gaussian of deviation 1.
_FWHM = 2.3548


def run(results: Results, options: Mapping) -> None:
    """Write the map of one scan.

    Raises
    ------
    InputError : the method left no field, as `affine` does where the affine is not asked for
    """
    key, space = options.scan, results.space
    mask = space.mask(options.mm)
    path = results.field(options.method, key, space.key)
    log = np.zeros(mask.data.shape, np.float32)
    if path.exists():
        displacement = sample_displacement(read_field(path), mask.grid)
        log = np.log(np.maximum(jacobian_determinant(displacement, mask.grid), _LEAST))
    elif not options.with_affine:
        raise InputError(path, "no such field", "name a method that deforms by `maps.method`")
    if options.with_affine:
        # The affine maps points of the template to points of the scan, as the field does.
        log = log + np.log(abs(np.linalg.det(read_affine(results.affine(key))[:3, :3])))
    smooth = smoothed_inside(log, mask, options.smooth_mm)
    out = results.log_jacobian(key)
    write_json(sidecar_path(out), _sidecar(options, results))
    write_volume(out, smooth, mask.affine, np.float32)


def smoothed_inside(values: np.ndarray, mask: Volume, fwhm: float) -> np.ndarray:
    """A Gaussian mean over the mask alone, (X, Y, Z) float32, 0 outside.

    Parameters
    ----------
    fwhm : full width at half maximum, mm; 0 smooths nothing
    """
    from scipy.ndimage import gaussian_filter

    inside = mask.data.astype(np.float32)
    if fwhm == 0:
        return np.where(mask.data, values, 0).astype(np.float32)
    deviation = [fwhm / _FWHM / mm for mm in mask.grid.spacing]
    sums = gaussian_filter(values * inside, deviation, mode="constant")
    weights = gaussian_filter(inside, deviation, mode="constant")
    return np.where(mask.data, sums / np.maximum(weights, 1e-6), 0).astype(np.float32)


def _sidecar(options: Mapping, results: Results) -> dict[str, object]:
    return {
        "Description": "natural logarithm of the Jacobian determinant of the map from the template "
        "to the scan: above 0 where the scan is larger",
        "Space": results.space.name,
        "Method": options.method,
        "SmoothingFWHM": options.smooth_mm,
        "AffineIncluded": options.with_affine,
        "Units": "1",
    }
