"""The template: MNI152NLin2009aSym, brain only, from the data files of the nilearn wheel.

Source: Fonov et al., NeuroImage 54 (2011); 1 mm, symmetric, as distributed with nilearn.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import numpy as np

from pmrpipe.base.errors import WorkError
from pmrpipe.images.volume import Grid, Volume

TEMPLATE_NAME = "MNI152NLin2009aSym"
_SHAPE_MM = (160, 192, 176)
_FILES = {
    "brain": "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz",
    "gm": "mni_icbm152_gm_tal_nlin_sym_09a_converted.nii.gz",
    "wm": "mni_icbm152_wm_tal_nlin_sym_09a_converted.nii.gz",
}
# Corner of the 1 mm grid in RAS mm (centre of its first voxel): the brain of the template spans
# x -71..71, y -106..73, z -71..82 and so lies in the middle with at least 6 mm around it.
_ORIGIN = (-79.5, -112.5, -82.5)


def template_grid(mm: float = 1.0) -> Grid:
    """Grid of all preprocessed images: 160x192x176 at 1 mm, the same field of view at others."""
    affine = np.eye(4)
    affine[:3, 3] = _ORIGIN
    return Grid(_SHAPE_MM, affine).rescaled(mm)


def template_brain(mm: float = 1.0) -> Volume:
    """T1-weighted template brain on `template_grid(mm)`, float32 in [0, 1], background 0."""
    return _on_grid("brain", mm)


def template_tissue(tissue: str, mm: float = 1.0) -> Volume:
    """Probability of `gm` or `wm` on `template_grid(mm)`, float32 in [0, 1]."""
    return _on_grid(tissue, mm)


def template_file(which: str) -> Path:
    """Path of the template's `brain`, `gm` or `wm` image inside the nilearn installation."""
    found = importlib.util.find_spec("nilearn")
    if found is None or not found.submodule_search_locations:
        raise WorkError(
            "nilearn", "is not installed", "pip install nilearn: it carries the template"
        )
    path = Path(found.submodule_search_locations[0]) / "datasets" / "data" / _FILES[which]
    if not path.exists():
        raise WorkError(path, "is missing from the nilearn installation", "reinstall nilearn")
    return path


@cache
def _source(which: str) -> Volume:
    import nibabel as nib

    image = nib.load(template_file(which))
    data = np.asarray(image.dataobj, dtype=np.float32) / np.float32(255)
    return Volume(data, np.asarray(image.affine, np.float64))


def _on_grid(which: str, mm: float) -> Volume:
    from scipy.ndimage import affine_transform, gaussian_filter

    source, grid = _source(which), template_grid(mm)
    data = source.data
    if mm > 1:
        # Half a voxel of Gaussian blur against aliasing.
        data = gaussian_filter(data, 0.42 * mm)
    index = np.linalg.inv(source.affine) @ grid.affine
    resampled = affine_transform(data, index[:3, :3], index[:3, 3], grid.shape, order=1)
    return Volume(np.clip(resampled, 0, 1).astype(np.float32), grid.affine)
