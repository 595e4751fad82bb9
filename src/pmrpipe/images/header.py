"""What a NIfTI header says to whom: nibabel takes the sform, ITK chooses, and neither must differ.

A sform holds any affine, a qform only a rotation with voxel sizes, and ITK reads nothing else.
So what is written here is straight (no shear) and stands alike in both; `itk_affine` says what ITK
(5.3 and later: ANTs, antspyx, SimpleITK, 3D Slicer) makes of a header.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pmrpipe.base.errors import InputError, WorkError
from pmrpipe.images.orientation import corner_distance

# Deviations from right angles (of unit columns): what is rounding, and from where on ITK no longer
# takes it for that. ITK 5.4 refuses from 1.2e-4 to 5e-4 on, depending on the direction.
_ROUNDING = 2e-5
_ITK_TOLERANCE = 1.2e-4
# Corners that a straightened affine may move: no more than grids of one scan may differ.
_STRAIGHTENED_MM = 0.1
_SCANNER = 1


def skew(affine: np.ndarray) -> float:
    """Largest cosine between two voxel axes of an affine (4, 4): 0 for right angles."""
    unit = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return float(np.abs(unit.T @ unit - np.eye(3)).max())


def straight(affine: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """The nearest affine whose voxel axes stand at right angles.

    Voxel sizes and the world position of the voxel coordinates `centre` (3,) stay; the axes
    become the nearest rotation (orthogonal Procrustes: Schoenemann, Psychometrika 31, 1966).
    """
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    left, _, right = np.linalg.svd(affine[:3, :3] / sizes)
    out = np.eye(4)
    out[:3, :3] = (left @ right) * sizes
    out[:3, 3] = affine[:3, 3] + (affine[:3, :3] - out[:3, :3]) @ centre
    return out


def writable(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """The affine, straightened where its corners move by less than 0.1 mm; None when sheared."""
    if skew(affine) < _ROUNDING:
        return affine
    nearest = straight(affine, (np.asarray(shape[:3]) - 1) / 2)
    near = corner_distance(affine, nearest, shape) < _STRAIGHTENED_MM
    return nearest if near else None


def require_straight(path: object, affine: np.ndarray, shape: tuple[int, ...]) -> None:
    """InputError when no qform can hold the affine: ITK would see another image."""
    if writable(affine, shape) is None:
        degrees = np.degrees(np.arcsin(min(1.0, skew(affine))))
        problem = (
            f"its affine is sheared (voxel axes {degrees:.3g} degrees from right angles), which "
            "ANTs and other ITK programs cannot read"
        )
        remedy = (
            "make a straight copy first (pmrpipe resample SCAN COPY.nii.gz), or take the sform "
            "out of its header if the qform is right"
        )
        raise InputError(path, problem, remedy)


def itk_affine(header: Any) -> np.ndarray | None:
    """Voxel index -> RAS mm (4, 4) as ITK reads a NIfTI header; None when ITK refuses it.

    ITK takes the sform when its axes stand at right angles and it is of code 1 or the only one,
    else the qform; voxel sizes are those of pixdim in both cases (itkNiftiImageIO.cxx).
    """
    sform, qform = int(header["sform_code"]), int(header["qform_code"])
    if sform > 0 and (sform == _SCANNER or qform == 0):
        matrix = header.get_sform()
        if skew(matrix) < _ITK_TOLERANCE:
            sizes = np.linalg.norm(matrix[:3, :3], axis=0)
            return _with_sizes(matrix, np.asarray(header["pixdim"][1:4], np.float64) / sizes)
    return header.get_qform() if qform > 0 else None


def _with_sizes(matrix: np.ndarray, factors: np.ndarray) -> np.ndarray:
    out = matrix.copy()
    out[:3, :3] *= factors
    return out


def set_affine(image: Any, affine: np.ndarray, path: object) -> None:
    """Write one affine as sform and qform (code 1) that nibabel and ITK read alike.

    Raises
    ------
    InputError : the affine is sheared
    WorkError : ITK would read the header in another way, by more than 0.01 mm at a corner
    """
    require_straight(path, affine, image.shape)
    held = writable(affine, image.shape)
    image.set_sform(held, code=_SCANNER)
    image.set_qform(held, code=_SCANNER)
    seen = itk_affine(image.header)
    if seen is None or not corner_distance(seen, image.affine, image.shape) < 0.01:
        raise WorkError(path, "its header would not read alike in nibabel and ITK")
