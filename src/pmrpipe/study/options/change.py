"""Options of the change between scans of one person."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from pmrpipe.base.seed import SEED
from pmrpipe.study.options.common import Options, Seed, Threads
from pmrpipe.study.options.preprocessing import Gridded

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


class Measuring(Options):
    """How a change is measured."""

    steps: int = Field(
        12, ge=1, description="most linearisations of the registration on each level"
    )
    finest_mm: float = Field(
        2.0,
        gt=0,
        le=8,
        description="finest level of the registration, mm; there are 8, 4, 2 and 1, and none finer",
    )
    noise: int = Field(
        2,
        ge=0,
        le=20,
        description="repetitions without change, of the scans' own noise, from which the noise "
        "of each change is told; 0: none",
    )


class Change(Measuring):
    """What `pmrpipe change` can be told besides."""

    labels: Path | None = Field(None, description="label map of the first scan")
    label_table: str | None = Field(None, description="label table: names of the labels")
    lesion: Path | None = Field(None, description="mask of a lesion or tumour in the first scan")


class Comparing(Measuring, Gridded):
    """Which sessions of one person of a study are compared, and what is known of the first."""

    scans: dict[str, Path] = Field(
        min_length=2, description="key of each scan and the scan as it came, the first in front"
    )
    orientations: dict[str, str] = Field(
        {}, description="orientation code of each scan whose header has none"
    )
    labels: Path | None = Field(None, description="label map of the first scan")
    table: str | None = Field(None, description="label table: names of the labels")
    lesion: Path | None = Field(None, description="mask of a lesion or tumour in the first scan")
    seed: Seed = SEED
    threads: Threads = 1
