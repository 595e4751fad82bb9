"""Options of a table of the labels that some label maps hold."""

from __future__ import annotations

from pydantic import Field

from pmrpipe.study.options.common import Options, Orientation


class Listing(Options):
    """How label maps are listed."""

    orientation: Orientation = None
    overwrite: bool = Field(False, description="replace a file that is there")
