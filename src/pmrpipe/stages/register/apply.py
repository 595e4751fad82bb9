"""Apply transforms, from whatever program, to images, label maps and points."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import write_text
from pmrpipe.images.interpolation import Interpolation
from pmrpipe.images.resampling import composite_field, moved_points, resample, sample_points
from pmrpipe.images.transforms import read_transform
from pmrpipe.images.volume import read_grid, read_image, read_labels, write_volume

Frame = Literal["RAS", "LPS"]
_FLIP = {"RAS": (1.0, 1.0, 1.0), "LPS": (-1.0, -1.0, 1.0)}
_COLUMNS = ("x", "y", "z")


def apply_to_image(
    image: str | os.PathLike[str],
    reference: str | os.PathLike[str],
    transforms: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    interpolation: Interpolation = "linear",
    fill: float = 0.0,
    orientation: str | None = None,
) -> None:
    """Resample `image` once onto the grid of `reference`, through all transforms.

    Parameters
    ----------
    transforms : in the order of antsApplyTransforms' -t: points of the reference go through the
        first one first; "[FILE,1]" is the inverse of an affine
    interpolation : "nearest" and "genericLabel" are for label maps and keep their integers; a map
        with other values is interpolated by "nearest" as an image
    fill : value outside `image`

    Raises
    ------
    InputError : an unreadable file, or labels that are no integers
    """
    links = [read_transform(name) for name in transforms]
    grid = read_grid(reference)
    read = read_labels if interpolation == "genericLabel" else read_image
    source = read(image, orientation, sheared=True)
    field = composite_field(grid, links)
    found = resample(source, sample_points(grid, field=(field, grid)), interpolation, fill)
    if interpolation == "nearest" and np.array_equal(found, np.rint(found)):
        found = found.astype(np.int32)
    write_volume(out, found, grid.affine)


def apply_to_points(
    points: str | os.PathLike[str],
    transforms: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    frame: Frame = "RAS",
) -> None:
    """Move landmarks of the fixed scan to where they lie in the moving scan.

    Transforms pull images from moving to fixed, and so carry points the other way. For points
    of the moving scan give the transforms of the other direction.

    Parameters
    ----------
    points : table with columns x, y, z in mm (.csv, or .tsv); other columns stay as they are
    transforms : as `apply_to_image`
    frame : of the coordinates: RAS (nibabel, FreeSurfer, BIDS) or LPS (ANTs, ITK, DICOM)

    Raises
    ------
    InputError : an unreadable file, a column that is missing, a coordinate that is no number
    """
    import pandas as pd

    separator = "\t" if Path(points).suffix == ".tsv" else ","
    try:
        table = pd.read_csv(points, sep=separator, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise InputError(points, "no such file") from None
    except (OSError, ValueError) as error:
        raise InputError(points, f"is not a table of points ({error})") from None
    absent = [name for name in _COLUMNS if name not in table.columns]
    if absent:
        raise InputError(points, f"has no column {', '.join(absent)}", "its header names x, y, z")
    numbers = np.stack([pd.to_numeric(table[name], errors="coerce") for name in _COLUMNS])
    if not np.isfinite(numbers).all():
        row = int(np.argmin(np.isfinite(numbers).all(axis=0)))
        raise InputError(points, f"line {row + 2} holds a coordinate that is no number")
    flip = np.array(_FLIP[frame])[:, None]
    moved = flip * moved_points(flip * numbers, [read_transform(name) for name in transforms])
    for name, values in zip(_COLUMNS, moved, strict=True):
        table[name] = [f"{value:.6g}" if abs(value) < 1e5 else repr(value) for value in values]
    suffix = "\t" if Path(out).suffix == ".tsv" else ","
    write_text(out, table.to_csv(sep=suffix, index=False, lineterminator="\n"))
