"""Options of scoring."""

from __future__ import annotations

from pydantic import Field

from pmrpipe.study.options.common import LabelInterpolation
from pmrpipe.study.options.preprocessing import Gridded


class Scoring(Gridded):
    """How registered pairs are scored."""

    method: str = Field(description="name of the method's folder")
    interpolation: LabelInterpolation = "nearest"
    table: str | None = Field(None, description="label table; none for a cohort without labels")
    discard_fields: bool = Field(False, description="remove the fields, and PAIRS, once scored")
