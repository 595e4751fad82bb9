"""Sections that say how jobs work."""

from __future__ import annotations

from pydantic import Field, field_validator

from pmrpipe.study.config.names import counted
from pmrpipe.study.options.change import Measuring
from pmrpipe.study.options.common import Options, default
from pmrpipe.study.options.fusing import Fusing, FusionKind
from pmrpipe.study.options.mapping import MapMaking


class HeadTemplate(Options):
    """The template of brain extraction by `template`."""

    head: str | None = Field(None, description="whole T1w head, for brain extraction `template`")
    brain: str | None = Field(
        None, description="on its grid, the brain's probability, its mask, or the brain cut out"
    )


class Threads(Options):
    """Threads of each kind of job: fixed here, so that results do not depend on --cores."""

    brain: int = Field(1, ge=1, description="brain extraction")
    affine: int = Field(
        1, ge=1, description="affine normalisation; more than 1 is not reproducible"
    )
    training: int = Field(1, ge=1, description="training of one network on a CPU")
    registration: int = Field(
        1, ge=1, description="registration of pairs; SyN: more than 1 is not reproducible"
    )


class Parcellate(Options):
    """How target `parcellate` labels each scan by those that were registered to it."""

    method: str | None = Field(
        None, description="row whose registrations count; null: the last of `methods`"
    )
    fusion: FusionKind = Field(
        default(Fusing, "fusion"),
        description="joint: weights that know which atlases err alike; local: by resemblance; "
        "majority: all alike; ants: antspyx's joint label fusion, minutes a scan",
    )


class Maps(MapMaking):
    """Maps of local volume for statistics (target `maps`, `pairs: {policy: to-template}`)."""

    method: str | None = Field(
        None, description="row whose registrations count; null: the last of `methods`"
    )


class ChangeSection(Measuring):
    """What target `change` compares: the sessions of each person with the first of them."""

    subjects: list[str] | None = Field(
        None, description="only these subjects, each with two sessions at least; null: all"
    )
    sessions: list[str] | None = Field(
        None,
        description="only these sessions, in this order, the first of them in front; null: all, "
        "by their names, numbers by their size",
    )

    @field_validator("subjects")
    @classmethod
    def _prefixed(cls, value: list[str] | None) -> list[str] | None:
        return None if value is None else counted(value)

    @field_validator("sessions")
    @classmethod
    def _prefixed_sessions(cls, value: list[str] | None) -> list[str] | None:
        named = None if value is None else [f"ses-{name.removeprefix('ses-')}" for name in value]
        if named is not None and (len(named) < 2 or len(set(named)) < len(named)):
            raise ValueError("names two different sessions at least")
        return named
