"""Apply transforms, from whatever program, to images, label maps and points."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import numpy as np

from pmrpipe.base.outputs import require_no_input
from pmrpipe.images.interpolation import Interpolation
from pmrpipe.images.resampling import composite_field, moved_points, resample, sample_points
from pmrpipe.images.transforms import read_transform
from pmrpipe.images.volume import (
    read_grid,
    read_image,
    read_labels,
    require_image_name,
    write_volume,
)
from pmrpipe.stages.register.points import Frame, frame_of, read_points, write_points

_FLIP = {"RAS": (1.0, 1.0, 1.0), "LPS": (-1.0, -1.0, 1.0)}


def apply_to_image(
    image: str | os.PathLike[str],
    reference: str | os.PathLike[str],
    transforms: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    interpolation: Interpolation = "linear",
    fill: float = 0.0,
    orientation: str | None = None,
    overwrite: bool = False,
) -> None:
    """Resample `image` once onto the grid of `reference`, through all transforms.

    Parameters
    ----------
    transforms : in the order of antsApplyTransforms' -t: points of the reference go through the
        first one first; "[FILE,1]" is the inverse of an affine
    interpolation : "nearest" and "genericLabel" are for label maps and keep their integers; a map
        with other values is interpolated by "nearest" as an image
    fill : value outside `image`
    overwrite : `out` may be one of the files that are read

    Raises
    ------
    InputError : an unreadable file, labels that are no integers, an output that is an input
    """
    if not overwrite:
        require_no_input(out, [image, reference, *_paths(transforms)])
    require_image_name(out)
    links = [read_transform(name) for name in transforms]
    grid = read_grid(reference)
    read = read_labels if interpolation == "genericLabel" else read_image
    source = read(image, orientation, sheared=True)
    field = composite_field(grid, links)
    data = resample(source, sample_points(grid, field=(field, grid)), interpolation, fill)
    if interpolation == "nearest" and np.array_equal(data, np.rint(data)):
        data = data.astype(np.int32)
    write_volume(out, data, grid.affine)


def apply_to_points(
    points: str | os.PathLike[str],
    transforms: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    frame: Frame | None = None,
    overwrite: bool = False,
) -> None:
    """Move landmarks of the fixed scan to where they lie in the moving scan.

    Transforms pull images from moving to fixed, and so carry points the other way. For points
    of the moving scan give the transforms of the other direction.

    Parameters
    ----------
    points : table with columns x, y, z in mm (.csv, .tsv, or Slicer's .fcsv); other columns stay
        as they are, and so does the frame
    transforms : as `apply_to_image`
    frame : of the coordinates: RAS (nibabel, FreeSurfer, BIDS) or LPS (ANTs, ITK, DICOM); None:
        what the file states, else RAS
    overwrite : `out` may be one of the files that are read

    Raises
    ------
    InputError : an unreadable file, a column that is missing, a coordinate that is no number, a
        frame that is not the file's, an output that is an input
    """
    if not overwrite:
        require_no_input(out, [points, *_paths(transforms)])
    table = read_points(points)
    flip = np.array(_FLIP[frame_of(points, table, frame)])[:, None]
    links = [read_transform(name) for name in transforms]
    write_points(out, table.moved(flip * moved_points(flip * table.coordinates, links)))


def _paths(transforms: Sequence[str | os.PathLike[str]]) -> list[str]:
    """Files of the transforms: that of "[FILE,1]" too."""
    return [re.sub(r"^\[(.*),\s*[01]\]$", r"\1", os.fspath(name)) for name in transforms]
