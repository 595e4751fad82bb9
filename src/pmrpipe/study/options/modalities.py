"""Options of the scans of one session that are brought onto its T1w's grid."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from pmrpipe.study.options.common import Orientation
from pmrpipe.study.options.preprocessing import Gridded

# Options of two scans that hold for scans of one session as they come.
SHARED = (
    "brain_extracted",
    "head_template",
    "brain_template",
    "cache",
    "seed",
    "threads",
    "overwrite",
)


class SessionOptions(Gridded):
    """The T1w of a session of a study."""

    t1w: str = Field(description="key of the session's T1w")
    image: Path = Field(description="that scan as it came")
    orientation: Orientation = None


class Overlaying(SessionOptions):
    """A scan of another contrast that is brought onto the T1w's grid."""

    scan: str = Field(description="key of the other scan")
    scan_image: Path = Field(description="that scan as it came")
    scan_orientation: Orientation = None


class SessionPage(SessionOptions):
    """Which scans a session's page shows."""

    scans: tuple[str, ...] = Field(min_length=1, description="keys of the other scans")
