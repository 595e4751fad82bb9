"""Options of scoring."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from pmrpipe.study.options.common import LabelInterpolation, Options
from pmrpipe.study.options.preprocessing import Gridded


class Scoring(Gridded):
    """How registered pairs are scored."""

    method: str = Field(description="name of the method's folder")
    interpolation: LabelInterpolation = "nearest"
    table: str | None = Field(None, description="label table; none for a cohort without labels")
    discard_fields: bool = Field(False, description="remove the fields, and PAIRS, once scored")


class Gathering(Options):
    """Whose scores become tables: those of one method, or the summary of several."""

    method: str | None = Field(None, description="gather this method's batches into its tables")
    summary: tuple[str, ...] = Field((), description="summarise these methods")
    batches: tuple[str, ...] = Field((), description="names of the batches")
    cohort: Path | None = Field(
        None, description="cohort.tsv, whose splits go into the tables' sidecars"
    )


class Comparing(Gridded):
    """Whose maps are compared with a reference method's, and on which pairs."""

    method: str = Field(description="name of the method's folder")
    reference: str = Field(description="name of the reference method's folder")
    identity: bool = Field(False, description="the method deforms nothing: 0 everywhere")
    pairs: tuple[str, ...] = Field(min_length=1, description="pairs, MOVING_to_FIXED")


class Referring(Options):
    """Of what the tables beside a reference method are made."""

    cohort: str = Field(description="name of the study; of some, published medians are known")
    references: dict[str, str] = Field(description="reference method of each method")
    methods: tuple[str, ...] = Field(min_length=1, description="all scored methods")
    jobs: tuple[str, ...] = Field(min_length=1, description="names of the jobs that compared")


# Tables of the paper.
PaperName = Literal["table1", "table2", "ablation"]


class PaperTable(Options):
    """How a table of the paper names our rows."""

    cohort: str = Field(description="name of the study, for our rows")
