"""Options of the steps of preprocessing, and of the arrays that training takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pmrpipe.base.seed import SEED
from pmrpipe.study.options.common import (
    DEFAULT_SPACE,
    GridMm,
    LabelInterpolation,
    Options,
    Orientation,
    Seed,
    SpaceName,
    Threads,
)

Holds = Literal["head", "brain"]
Extractor = Literal["deepbet", "template", "mask", "nonzero", "session"]

InputState = Annotated[Holds, Field(description="whole heads, or brains already extracted")]
BrainMethod = Annotated[
    Extractor,
    Field(
        description="brain extraction: deepbet and template for heads, an existing mask, or "
        "nonzero for brains; session: the mask of the session's T1w, for scans of another contrast"
    ),
]
Rigid = Annotated[
    Path | None,
    Field(description="ITK rigid transform, session's T1w to scan points: of another contrast"),
]
Lesion = Annotated[
    Path | None,
    Field(description="lesion mask on the scan's grid: left out of what is measured of the brain"),
]


class Voxels(Options):
    """A job whose result has voxels of one size."""

    mm: GridMm = 1.0


class Gridded(Voxels):
    """A job on the template grid of a space."""

    space: SpaceName = DEFAULT_SPACE


class Extraction(Options):
    """How a scan's brain is cut out."""

    state: InputState = "head"
    method: BrainMethod = "deepbet"
    mask: Path | None = Field(
        None, description="existing brain mask, for the method mask; for session, of the T1w"
    )
    rigid: Rigid = None
    lesion: Lesion = None
    head_template: Path | None = Field(None, description="whole head, for the method template")
    brain_template: Path | None = Field(
        None, description="its brain: probability, mask or cut out, on the same grid"
    )
    n4: bool = Field(False, description="correct the brain's intensity bias")
    orientation: Orientation = None
    threads: Threads = 1


class Normalisation(Options):
    """How a brain is brought to the template by an affine; one thread alone is reproducible."""

    rigid: Rigid = None
    t1w_affine: Path | None = Field(
        None, description="affine of the session's T1w: the scan goes through it, by the rigid"
    )
    lesion: Lesion = None
    seed: Seed = SEED
    threads: Threads = 1


class Whitening(Options):
    """How a brain's intensities are made comparable."""

    lesion: Lesion = None


class Coregistration(Options):
    """How a scan of another contrast is brought to its session's T1w."""

    orientation: Orientation = None
    seed: Seed = SEED
    threads: Threads = 1


class Labelling(Options):
    """How a label map is brought to the template grid."""

    interpolation: LabelInterpolation = "nearest"
    orientation: Orientation = None


class CheckedLabelling(Labelling):
    """The same, with the table of labels that are known."""

    table: str | None = Field(None, description="label table: warn of numbers that it lacks")


class Preprocessing(Extraction, Normalisation, Whitening, Labelling, Gridded):
    """All steps of one scan: each takes what it knows of."""

    labels: Path | None = Field(None, description="label map on the native grid")
    through: str | None = Field(
        None, description="key of the session's T1w, preprocessed before, for another contrast"
    )


class Quality(Gridded):
    """How a quality page is made."""

    orientation: Orientation = None


class Packing(Gridded):
    """Which preprocessed scans become arrays for training."""

    table: str | None = Field(None, description="label table: which labels are scored")
    keys: tuple[str, ...] = Field(min_length=1, description="training and validation scans")
    labelled: tuple[str, ...] = Field((), description="those of them with labels")
    train: tuple[str, ...] = Field(
        (), description="those of them that train, for other studies that take the arrays"
    )
    description: Path | None = Field(
        None, description="dataset_description.json: whose scans they are, and the licence"
    )
