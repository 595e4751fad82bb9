"""Options of a template made from a study's scans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pmrpipe.base.seed import SEED
from pmrpipe.study.options.common import Device, NetworkMm, Options, RefineElastic, Seed, Threads
from pmrpipe.study.options.preprocessing import Gridded

Average = Literal["trimmed", "median", "mean"]
NAME = r"^[A-Za-z0-9]+$"


class Rounds(Options):
    """How the rounds are made; a study and the verb say the same."""

    method: str = Field("pmr-plus", description="method of the registrations: name or YAML")
    refine: int | None = Field(
        None,
        ge=0,
        description="most steps a level of instance optimisation; 0: none; null: the method's own",
    )
    refine_mm: Annotated[
        float, Field(gt=0, description="finest level of instance optimisation, mm")
    ] = 2.0
    refine_elastic: RefineElastic = 0.7
    rounds: int = Field(4, ge=1, le=50, description="most rounds of registering all to the mean")
    tolerance: float = Field(
        0.003,
        ge=0,
        description="the rounds end when the template changes by less: mean absolute difference "
        "over the brain, whose deviation is about 1/6",
    )
    average: Average = Field(
        "trimmed",
        description="of the warped brains, voxel by voxel: mean of the middle half, median or mean",
    )
    sharpen: float = Field(
        0.5, ge=0, le=2, description="weight of the unsharp mask of one voxel; 0: none"
    )
    initial: Path | None = Field(
        None,
        description="image on the template grid with which the rounds begin, such as a template "
        "to which subjects are added; null: the mean of the scans",
    )


class TemplateMaking(Rounds, Gridded):
    """A template from preprocessed scans of one result folder."""

    name: str = Field(pattern=NAME, description="name of the template and of its space")
    keys: tuple[str, ...] = Field(min_length=1, description="scans, by their keys")
    along: tuple[str, ...] = Field(
        (),
        description="scans of other contrasts of the same sessions, by their keys (sub-01_T2w): "
        "each contrast is averaged along the fields of the T1w",
    )
    labels: dict[str, Path] = Field({}, description="native label map of each scan that has one")
    orientations: dict[str, str] = Field(
        {}, description="orientation code of each scan whose header has none"
    )
    table: str | None = Field(None, description="label table: names and which labels are scored")
    weights: Path | None = Field(
        None, description="folder of a network's weights; None: those in the package"
    )
    network_mm: NetworkMm = None
    seed: Seed = SEED
    threads: Threads = 1
    device: Device = "auto"
