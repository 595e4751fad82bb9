"""Options of the change between scans of one person."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from pmrpipe.study.options.common import Options, RefineMm

# Options of two scans that hold here too, for all scans alike.
SHARED = (
    "mm",
    "brain_extracted",
    "head_template",
    "brain_template",
    "n4",
    "cache",
    "seed",
    "threads",
    "overwrite",
)


class Change(Options):
    """What `pmrpipe change` can be told besides."""

    labels: Path | None = Field(None, description="label map of the first scan")
    label_table: str | None = Field(None, description="label table: names of the labels")
    lesion: Path | None = Field(None, description="mask of a lesion or tumour in the first scan")
    steps: int = Field(
        12, ge=1, description="most linearisations of the registration on each level"
    )
    finest_mm: RefineMm = 2.0
    noise: int = Field(
        2,
        ge=0,
        le=20,
        description="repetitions without change, of the scans' own noise, from which the noise "
        "of each change is told; 0: none",
    )
