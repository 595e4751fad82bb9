"""Section `template`: the mean brain that a study makes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from pmrpipe.study.config.names import counted
from pmrpipe.study.options.template import NAME, Rounds


class TemplateSection(Rounds):
    """The template that a study makes (target `template`)."""

    name: str | None = Field(
        None, pattern=NAME, description="name of the template and of its space; null: none is made"
    )
    subjects: list[str] | None = Field(
        None, min_length=1, description="only these subjects; null: all of `split`"
    )
    split: Literal["all", "train", "validation", "test"] = Field(
        "all", description="whose scans are taken"
    )
    contrasts: list[Literal["T2w", "PDw", "FLAIR", "inplaneT2"]] = Field(
        [],
        description="other contrasts that are averaged along: scans that go through a chosen T1w",
    )

    @field_validator("subjects")
    @classmethod
    def _prefixed(cls, value: list[str] | None) -> list[str] | None:
        return None if value is None else counted(value)
