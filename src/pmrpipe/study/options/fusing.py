"""Options of the fusion of registered label maps in a study."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from pmrpipe.study.options.common import Orientation
from pmrpipe.study.options.preprocessing import Gridded

FusionKind = Literal["joint", "local", "majority", "ants"]


class Fusing(Gridded):
    """How the labels that were brought to one scan become its own."""

    method: str = Field(description="name of the method's folder")
    fixed: str = Field(description="key of the scan that is labelled")
    atlases: tuple[str, ...] = Field(description="keys of the atlases registered to it")
    table: str = Field(description="label table")
    scan: Path = Field(description="the scan as it came, whose grid the labels get")
    orientation: Orientation = None
    fusion: FusionKind = "joint"
