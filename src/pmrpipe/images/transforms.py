"""Transform files that ITK and ANTs read.

In memory everything is RAS mm: an affine is a (4, 4) matrix and a field an (X, Y, Z, 3) array of
displacements on a `Grid`. Both pull back: they take points of the *fixed* space (the template, or
the fixed scan) to points of the *moving* space, which is what resampling needs. In files they are
LPS mm, as ITK wants it. The composite is "affine after field": y = A (x + u(x)).
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from pmrpipe.base.errors import InputError, WorkError
from pmrpipe.base.files import atomic
from pmrpipe.images.header import set_affine
from pmrpipe.images.open import open_image
from pmrpipe.images.resampling import Field, Transform
from pmrpipe.images.volume import Grid

_LPS = np.diag([-1.0, -1.0, 1.0])
_AFFINES = ("AffineTransform", "MatrixOffsetTransformBase")
_WRITTEN = "AffineTransform_double_3_3"
_VECTOR_INTENT = 1007
_STEPS_PER_MM = np.float32(1024)


# -- affine files ------------------------------------------------------------------------------
def write_affine(
    path: str | os.PathLike[str], matrix: np.ndarray, centre: np.ndarray | None = None
) -> None:
    """Write an affine as ITK's MATLAB-4 file (.mat) or ITK text (.txt, .tfm), atomically.

    Parameters
    ----------
    matrix : (4, 4), RAS mm, fixed points -> moving points
    centre : (3,), RAS mm, ITK's centre of rotation; changes the stored numbers, not the map
    """
    linear = _LPS @ matrix[:3, :3] @ _LPS
    fixed = _LPS @ (np.zeros(3) if centre is None else np.asarray(centre, np.float64))
    # ITK: y = L (x - c) + t + c
    translation = _LPS @ matrix[:3, 3] - fixed + linear @ fixed
    numbers = np.concatenate([linear.ravel(), translation])
    write = _write_text if Path(path).suffix in (".txt", ".tfm") else _write_mat
    with atomic(path) as temporary:
        write(temporary, numbers, fixed)
        _, held, origin = _read(temporary)
        if not (np.allclose(held, numbers) and np.allclose(origin, fixed)):
            raise WorkError(path, "its affine does not read as it was written")


def _write_mat(path: Path, numbers: np.ndarray, fixed: np.ndarray) -> None:
    from scipy.io import savemat

    content = {_WRITTEN: numbers, "fixed": fixed}
    with open(path, "wb") as handle:
        savemat(handle, content, format="4", oned_as="column")


def _write_text(path: Path, numbers: np.ndarray, fixed: np.ndarray) -> None:
    def line(values: np.ndarray) -> str:
        return " ".join(repr(float(value)) for value in values)

    path.write_text(
        f"#Insight Transform File V1.0\n#Transform 0\nTransform: {_WRITTEN}\n"
        f"Parameters: {line(numbers)}\nFixedParameters: {line(fixed)}\n",
        encoding="ascii",
    )


def read_affine(path: str | os.PathLike[str]) -> np.ndarray:
    """Read an ITK affine (.mat, .txt, .tfm) as (4, 4), RAS mm, fixed points -> moving points.

    Raises
    ------
    InputError : missing, unreadable, no 3D affine, or singular
    """
    name = Path(path)
    if not name.exists():
        raise InputError(path, "no such file")
    try:
        kind, numbers, fixed = _read(name)
    except Exception as error:  # a parser on arbitrary bytes may raise anything
        problem = f"is not a readable ITK transform ({type(error).__name__})"
        raise InputError(path, problem) from None
    if kind.split("_")[0] not in _AFFINES or numbers.size != 12 or fixed.size != 3:
        raise InputError(path, f"holds {kind}, not one 3D affine")
    linear = numbers[:9].reshape(3, 3)
    matrix = np.eye(4)
    matrix[:3, :3] = _LPS @ linear @ _LPS
    matrix[:3, 3] = _LPS @ (numbers[9:] + fixed - linear @ fixed)
    if not np.all(np.isfinite(matrix)) or abs(np.linalg.det(linear)) < 1e-6:
        raise InputError(path, "its matrix is singular or not finite")
    return matrix


def _read(path: Path) -> tuple[str, np.ndarray, np.ndarray]:
    """Kind of transform, its parameters and its fixed ones, as they stand in the file."""
    return (_read_text if path.suffix in (".txt", ".tfm") else _read_mat)(path)


def _read_mat(path: Path) -> tuple[str, np.ndarray, np.ndarray]:
    from scipy.io import loadmat

    content = {k: np.ravel(v) for k, v in loadmat(path).items() if not k.startswith("_")}
    fixed = content.pop("fixed")
    ((kind, numbers),) = content.items()
    return kind, numbers.astype(np.float64), fixed.astype(np.float64)


def _read_text(path: Path) -> tuple[str, np.ndarray, np.ndarray]:
    lines = path.read_text(encoding="ascii").splitlines()
    pairs = [line.split(":", 1) for line in lines if ":" in line and not line.startswith("#")]
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("several transforms")
    values = {key.strip(): value.strip() for key, value in pairs}
    numbers, fixed = (
        np.array([float(word) for word in values[key].split()])
        for key in ("Parameters", "FixedParameters")
    )
    return values["Transform"], numbers, fixed


# -- field files -------------------------------------------------------------------------------
def write_field(path: str | os.PathLike[str], field: np.ndarray, grid: Grid) -> None:
    """Write an ITK displacement field (5D NIfTI, vector intent, LPS mm, float32), atomically.

    Displacements are rounded to 1/1024 mm: half a micrometre at most, for two thirds of the file.

    Parameters
    ----------
    field : (X, Y, Z, 3), RAS mm, from points of `grid` (fixed) to moving points
    """
    import nibabel as nib

    if field.shape != (*grid.shape, 3):
        raise ValueError(f"field of shape {field.shape} on a grid of {grid.shape}")
    flipped = np.asarray(field, np.float32) * np.array([-1, -1, 1], np.float32)
    flipped *= _STEPS_PER_MM  # in place: fields of fine scans are large
    np.rint(flipped, out=flipped)
    flipped /= _STEPS_PER_MM
    image = nib.Nifti1Image(flipped[:, :, :, None], grid.affine)
    image.header.set_intent(_VECTOR_INTENT)
    image.header.set_xyzt_units("mm")
    set_affine(image, grid.affine, path)
    with atomic(path) as temporary:
        nib.save(image, temporary)


def read_field(path: str | os.PathLike[str]) -> Field:
    """Read an ITK displacement field: (X, Y, Z, 3) float32 in RAS mm, and its grid.

    Raises
    ------
    InputError : as `open.open_image`, and: no vector image of three components, not finite
    """
    opened = open_image(path)
    shape = opened.image.shape
    if len(shape) != 5 or shape[3:] != (1, 3):
        problem = f"has shape {'x'.join(map(str, shape))}, not X x Y x Z x 1 x 3"
        raise InputError(path, problem, "give an ITK displacement field")
    stored = opened.read(np.float32).reshape(*shape[:3], 3)
    field = np.ascontiguousarray(stored * np.array([-1, -1, 1]), dtype=np.float32)
    if not np.isfinite(field.sum()):
        raise InputError(path, "holds NaN or infinite values")
    return field, Grid(shape[:3], opened.affine)


# -- chains ------------------------------------------------------------------------------------
def read_transform(name: str | os.PathLike[str]) -> Transform:
    """Read an affine (.mat, .txt, .tfm) or a displacement field (any image file).

    "[FILE,1]" is the inverse of an affine, as antsApplyTransforms takes it.

    Raises
    ------
    InputError : as `read_affine` and `read_field`, or the inverse of a field is asked for
    """
    text = os.fspath(name)
    inverse = text.startswith("[") and text.endswith("]")
    if inverse:
        text, _, flag = text[1:-1].rpartition(",")
        inverse = flag.strip() == "1"
    if Path(text).suffix in (".mat", ".txt", ".tfm"):
        matrix = read_affine(text)
        return np.linalg.inv(matrix) if inverse else matrix
    if inverse:
        problem = "is a displacement field, which has no inverse in closed form"
        raise InputError(text, problem, "give the field of the other direction")
    return read_field(text)
