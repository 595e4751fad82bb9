"""Options of training."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationInfo, field_validator

from pmrpipe.base.seed import SEED
from pmrpipe.study.options.common import (
    Device,
    Devices,
    NetworkMm,
    Options,
    Seed,
    Threads,
)


class Limits(Options):
    """Overrides of the methods' own schedule; null keeps what the method's YAML says."""

    max_steps: int | None = Field(
        None, ge=1, description="optimiser steps per network (reproducible to the bit)"
    )
    max_minutes: float | None = Field(
        None, gt=0, description="wall-clock limit per network, in place of steps"
    )
    validate_every: int | None = Field(None, ge=1, description="steps between validations")

    @field_validator("max_minutes")
    @classmethod
    def _instead(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and info.data.get("max_steps") is not None:
            raise ValueError("is in place of max_steps: say one of them")
        return value

    def changes(self) -> dict[str, float | None]:
        """What is said, as changes of a schedule: steps alone lift a limit of minutes."""
        said = self.model_dump(include=set(Limits.model_fields), exclude_none=True)
        return {"max_minutes": None} | said if "max_steps" in said else said


class Training(Limits):
    """How one network is trained on packed arrays."""

    method: str = Field(description="name or YAML file of the method")
    seed: Seed = SEED
    threads: Threads = 1
    device: Device = "auto"
    devices: Devices = 1
    network_mm: NetworkMm = None
    init: Path | None = Field(None, description="folder with weights with which training begins")
    memory_mb: int | None = Field(
        None, ge=1, description="memory of the job, MB; images may take half"
    )
    cohorts: dict[str, Path] = Field(
        {}, description="further cohorts by name: arrays that other studies packed"
    )
    cohort_weights: dict[str, float] = Field(
        {}, description="weight of each cohort, the own one too; 1 where none is said"
    )
    targets: Path | None = Field(
        None, description="packed fields of the teacher, for a method that has one"
    )
    train: tuple[str, ...] = Field(min_length=1, description="keys of the training scans")
    validation: tuple[str, ...] = Field((), description="keys of the validation scans")
