"""Options of the call of BIDS Apps."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from pmrpipe.study.options.common import Device
from pmrpipe.study.options.preprocessing import Gridded


class BidsApp(Gridded):
    """What is done with a BIDS dataset; without methods' weights of one's own."""

    participant_label: tuple[str, ...] = Field(
        (), description="with or without sub-; none: all of the dataset"
    )
    method: tuple[str, ...] = Field(
        ("affine", "pmr-plus"),
        min_length=1,
        description="names or YAML files; networks need weights that come with pmrpipe",
    )
    labels: str | None = Field(
        None,
        description="label table: participants with label maps are registered to each other and "
        "compared; without it each is registered to the template",
    )
    labels_root: Path | None = Field(None, description="dataset that holds the label maps")
    brain_extracted: bool = Field(False, description="the scans hold the brain alone")
    device: Device = "auto"
