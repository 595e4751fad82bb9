"""Options of the maps for statistics."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from pmrpipe.study.options.common import Options
from pmrpipe.study.options.preprocessing import Gridded


class MapMaking(Options):
    """What a map shows."""

    smooth_mm: float = Field(
        8.0, ge=0, description="full width at half maximum of the Gaussian that smooths each map"
    )
    with_affine: bool = Field(
        False,
        description="the affine's volume change too: absolute sizes, not relative to the head",
    )


class Mapping(Gridded, MapMaking):
    """How the log-Jacobian of one scan becomes a map in the template's space."""

    method: str = Field(description="name of the method's folder")
    scan: str = Field(description="key of the scan that was registered to the template")


class MapTable(Gridded):
    """Which maps go into the table, and where the covariates stand."""

    scans: tuple[str, ...] = Field(description="keys of the scans")
    participants: Path | None = Field(None, description="participants.tsv of the dataset")
