"""Options of registration."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from pmrpipe.base.seed import SEED
from pmrpipe.study.options.common import (
    Device,
    FinetuneRate,
    LabelInterpolation,
    NetworkMm,
    RefineElastic,
    RefineMm,
    Samples,
    Seed,
    Threads,
)
from pmrpipe.study.options.preprocessing import Gridded


class Loading(Gridded):
    """Which method a job loads, and where it runs."""

    method: str = Field(description="name or YAML file of the method")
    name: str | None = Field(None, description="name of the result folder; default: the method's")
    weights: Path | None = Field(None, description="folder with weights.safetensors, for a network")
    network_mm: NetworkMm = None
    threads: Threads = 1
    device: Device = "auto"


class Teaching(Loading):
    """A method on pairs of training scans, from which others learn."""

    seed: Seed = SEED
    pairs: tuple[str, ...] = Field(min_length=1, description="pairs, MOVING_to_FIXED")


class TargetPacking(Gridded):
    """Which of a teacher's fields become one file for training."""

    teacher: str = Field(description="name of the teacher's result folder")
    pairs: tuple[str, ...] = Field(min_length=1, description="pairs, MOVING_to_FIXED")


class LevelFields(Loading):
    """What each level of a network contributes to some pairs."""

    weights: Path = Field(description="folder with weights.safetensors")


class Registration(Loading):
    """A method on pairs of preprocessed scans."""

    seed: Seed = SEED
    interpolation: LabelInterpolation = "nearest"
    refine: int = Field(
        0, ge=0, description="most steps of instance optimisation on each level; 0: none"
    )
    refine_mm: RefineMm = 1.0
    refine_elastic: RefineElastic = 0.7
    finetune: int = Field(
        0,
        ge=0,
        description="steps in which the weights are tuned to each pair, on a copy, by the "
        "method's own objective; 0: none",
    )
    finetune_rate: FinetuneRate = 2e-5
    uncertainty: Samples = 0
    uncertainty_table: Path | None = Field(None, description="list of these maps, TSV")
    labels: dict[str, Path] = Field({}, description="native label map of each scan that has one")
    label_scans: dict[str, str] = Field(
        {}, description="scans whose labels lie on the grid of their session's T1w: its key"
    )
    lesions: dict[str, Path] = Field(
        {}, description="native lesion mask of each scan that has one: no similarity inside"
    )
    orientations: dict[str, str] = Field(
        {}, description="orientation code of each scan whose header has none"
    )
    pairs: tuple[str, ...] = Field(min_length=1, description="pairs, MOVING_to_FIXED")
