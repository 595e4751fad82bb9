"""Where the voxels of a file lie in the world: the affine that its header states, or is given."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np

from pmrpipe.base.errors import InputError

_AXIS_OF = {"L": 0, "R": 0, "P": 1, "A": 1, "I": 2, "S": 2}
_VOXEL_MM = (0.01, 100.0)
# Beyond this sform and qform say different things: the quaternion of a head that lies nearly upside
# down is itself no more exact than 0.15 mm in 32 bits.
DISAGREEMENT_MM = 0.5
_log = logging.getLogger(__name__)


def voxel_to_world(path: Path, image: Any, orientation: str | None) -> np.ndarray:
    """The affine (4, 4) float64 of a nibabel image, voxel index -> RAS mm, checked.

    Parameters
    ----------
    path : the file that messages name
    image : nibabel image of the Analyze, NIfTI or FreeSurfer family
    orientation : directions of the voxel axes, for headers that state none (see `open_image`)

    Raises
    ------
    InputError : no orientation, singular affine, voxels of a size that no scan of a head has
    """
    if _states_orientation(image):
        _warn_of_disagreement(path, image)
        if orientation is not None:
            _log.info("%s: orientation taken from its header, not from %s", path, orientation)
        affine = np.asarray(image.affine, np.float64)
    elif orientation is None:
        remedy = "say it by orientation: RAS, LAS, LPS ... (directions of the voxel axes)"
        raise InputError(path, "its header states no orientation", remedy)
    else:
        affine = _oriented_affine(path, image, orientation)
    _check_affine(path, affine)
    return affine


def _states_orientation(image: Any) -> bool:
    header = image.header
    if "sform_code" in header.keys():  # noqa: SIM118 (a header iterates over values too)
        return bool(header["sform_code"] > 0 or header["qform_code"] > 0)
    if "goodRASFlag" in header.keys():  # noqa: SIM118
        return _good_ras_flag(image)
    matrix = image.file_map.get("mat")  # SPM writes it beside the Analyze pair
    return matrix is not None and Path(matrix.filename).exists()


def _good_ras_flag(image: Any) -> bool:
    """FreeSurfer's flag as it stands in the file: nibabel sets it when it is not."""
    with image.file_map["image"].get_prepare_fileobj("rb") as handle:
        return int.from_bytes(handle.read(30)[28:30], "big", signed=True) > 0


def _oriented_affine(path: Path, image: Any, orientation: str) -> np.ndarray:
    """Axes along the named directions, header's voxel sizes, centre of the image at 0 mm."""
    from nibabel.orientations import axcodes2ornt

    letters = orientation.upper()
    if len(letters) != 3 or sorted(_AXIS_OF.get(letter, -1) for letter in letters) != [0, 1, 2]:
        problem = f"orientation {orientation} is not three letters of R/L, A/P, S/I"
        raise InputError(path, problem, "for example RAS or LPS")
    affine = np.eye(4)
    affine[:3, :3] = 0
    zooms = np.abs(np.asarray(image.header.get_zooms()[:3], np.float64))
    for axis, (world, sign) in enumerate(axcodes2ornt(letters)):
        affine[int(world), axis] = sign * zooms[axis]
    centre = (np.asarray(image.shape[:3]) - 1) / 2
    affine[:3, 3] = -affine[:3, :3] @ centre
    return affine


def disagreement(image: Any) -> float:
    """How far in mm sform and qform put the corners of an image apart; 0 without two of them."""
    header = image.header
    if "sform_code" not in header.keys():  # noqa: SIM118
        return 0.0
    if not (header["sform_code"] > 0 and header["qform_code"] > 0):
        return 0.0
    try:
        return corner_distance(header.get_sform(), header.get_qform(), image.shape[:3])
    except Exception:  # an invalid quaternion: the sform is used anyway
        return math.inf


def _warn_of_disagreement(path: Path, image: Any) -> None:
    far = disagreement(image)
    if not far < DISAGREEMENT_MM:
        _log.warning(
            "%s: sform and qform disagree by %.3g mm; the sform is used, and what is written "
            "holds it as both. Programs that take the qform see this file elsewhere, left and "
            "right perhaps exchanged: compare with an overlay, and correct the header",
            path,
            far,
        )


def corner_distance(first: np.ndarray, second: np.ndarray, shape: tuple[int, ...]) -> float:
    """Largest distance in mm between the corners of a grid under two affines (4, 4)."""
    last = np.asarray(shape[:3], np.float64) - 1
    corners = np.stack(np.meshgrid(*((0, n) for n in last), indexing="ij"), -1).reshape(-1, 3)
    difference = corners @ (first - second)[:3, :3].T + (first - second)[:3, 3]
    return float(np.linalg.norm(difference, axis=1).max())


def _check_affine(path: Path, affine: np.ndarray) -> None:
    if not np.all(np.isfinite(affine)):
        raise InputError(path, "its affine is not finite", "repair the header")
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.all(sizes > 0) or abs(np.linalg.det(affine[:3, :3] / sizes)) < 1e-3:
        raise InputError(path, "its affine is singular", "repair the header")
    if sizes.min() < _VOXEL_MM[0] or sizes.max() > _VOXEL_MM[1]:
        problem = f"voxel size {'x'.join(f'{size:g}' for size in sizes)} mm in its affine"
        raise InputError(path, problem, "repair the header: it must be in mm")
