"""Options of the parcellation of a scan by atlases."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from pmrpipe.study.options.common import Options, Orientation
from pmrpipe.study.options.fusing import FusionKind

# Options of two scans that hold here too, for the scan and for all atlases alike.
SHARED = (
    "mm",
    "method",
    "weights",
    "refine",
    "refine_mm",
    "refine_elastic",
    "accurate",
    "brain_extracted",
    "n4",
    "cache",
    "seed",
    "threads",
    "device",
    "overwrite",
)


class Parcellation(Options):
    """What `pmrpipe parcellate` can be told of the atlases and of how their labels are fused."""

    atlases: Path = Field(
        ..., description="BIDS dataset of T1w scans with label maps and a label table"
    )
    label_table: str | None = Field(
        None,
        description="label table: a shipped name or a TSV; None: the dataset's own *_dseg.tsv",
    )
    t1w_desc: str | None = Field(
        None, description="entity `desc-` of the atlases' T1w files; None: what is there"
    )
    labels_desc: str | None = Field(
        None, description="entity `desc-` of their `_dseg` files; None: what is there"
    )
    leave_out: list[str] = Field(
        default_factory=list, description="subjects of the dataset that are no atlases"
    )
    most: int | None = Field(
        None, ge=1, description="only so many atlases, the most alike after the affine; None: all"
    )
    fusion: FusionKind = Field(
        "joint",
        description="joint: weights that know which atlases err alike; local: by resemblance; "
        "majority: all alike; ants: joint label fusion of antspyx, minutes",
    )
    mask: Path | None = Field(None, description="brain mask of the scan")
    orientation: Orientation = None
