"""Options of transforms that are applied to images, label maps and points."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pmrpipe.study.options.common import Options, Orientation

Way = Annotated[
    Literal["linear", "nearest", "genericLabel", "oneHot", "bspline"],
    Field(
        description="how values are taken; oneHot: the label whose linearly interpolated one-hot "
        "map is largest, which is what genericLabel does as well"
    ),
]


class Applying(Options):
    """What goes through which transforms."""

    image: Path | None = Field(None, description="image or label map, of the moving scan")
    points: Path | None = Field(
        None, description="table with columns x, y, z in mm, of the fixed scan; or Slicer's .fcsv"
    )
    transforms: tuple[str, ...] = Field(
        min_length=1,
        description="ITK affines and displacement fields in the order of antsApplyTransforms; "
        '"[FILE,1]" is the inverse of an affine',
    )
    output: Path = Field(description="what is written")
    reference: Path | None = Field(None, description="image whose grid is taken, with --image")
    interpolation: Way = "linear"
    fill: float = Field(0.0, description="value outside the image")
    frame: Literal["RAS", "LPS"] | None = Field(
        None, description="of the points' coordinates; default: what the file states, else RAS"
    )
    overwrite: bool = Field(False, description="the output may be one of the inputs")
    orientation: Orientation = None
