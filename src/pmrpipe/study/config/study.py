"""One study: every key with its type, default and description."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from pmrpipe.base.seed import SEED
from pmrpipe.study.config.cohort import FurtherCohort, Inputs, Layout, Override, Pairs, Split
from pmrpipe.study.config.names import counted, with_prefix
from pmrpipe.study.config.processing import ChangeSection, HeadTemplate, Maps, Parcellate, Threads
from pmrpipe.study.config.template import TemplateSection
from pmrpipe.study.options.common import (
    MOST_SEEDS,
    Device,
    Devices,
    FinetuneRate,
    GridMm,
    LabelInterpolation,
    NetworkMm,
    Options,
    Orientation,
    RefineElastic,
    RefineMm,
    Samples,
    Seed,
    SpaceName,
    default,
)
from pmrpipe.study.options.preprocessing import (
    Extraction,
    Extractor,
    Gridded,
    InputState,
    Labelling,
)
from pmrpipe.study.options.registration import Registration
from pmrpipe.study.options.simulation import Simulation
from pmrpipe.study.options.training import Limits, Training
from pmrpipe.study.paths import Results
from pmrpipe.study.space import Space


class Study(Options):
    """One study: a cohort, what is done to it, and the methods that are compared."""

    cohort: str = Field(
        "embedded",
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*$",
        description="name of the study and of its results",
    )
    reader: Literal["embedded", "bids", "fmriprep", "freesurfer", "pattern"] = Field(
        "bids",
        description="how the input folder is laid out; fmriprep and freesurfer: the derivatives, "
        "with their brain masks and aseg labels",
    )
    root: str = Field(
        ..., min_length=1, description="input folder; read only, except for reader `embedded`"
    )
    results: str = Field(
        "results", min_length=1, description="folder that receives results/<cohort>"
    )
    embedded: Simulation = Field(default_factory=Simulation, description="the simulated cohort")
    inputs: Inputs = Field(default_factory=Inputs, description="which files are taken")
    layout: Layout = Field(default_factory=Layout, description="files of a dataset by pattern")
    subjects: list[str] | None = Field(
        None,
        min_length=1,
        description="only these subjects, all of which must be there; null takes all that are "
        "found; S{01..40} counts",
    )
    exclude: dict[str, str] = Field(
        default_factory=dict, description="subject or scan: reason; listed in the report"
    )
    input_state: InputState = default(Extraction, "state")
    brain: Extractor | None = Field(
        None, description="brain extraction; null: deepbet for heads, nonzero for brains"
    )
    head_template: HeadTemplate = Field(
        default_factory=HeadTemplate, description="what brain extraction `template` registers"
    )
    bias_correction: Literal["none", "n4"] = Field(
        "none", description="n4 corrects the intensity bias of each extracted brain"
    )
    orientation: Orientation = None
    overrides: dict[str, Override] = Field(
        default_factory=dict, description="subject or scan: exceptions"
    )
    lesions: dict[str, str] = Field(
        default_factory=dict,
        description="scan: its lesion mask, relative to `root`: inside, no similarity is measured",
    )
    labels: str | None = Field(
        None, description="label table: a shipped name or a TSV; null = cohort without labels"
    )
    labels_interpolation: LabelInterpolation = default(Labelling, "interpolation")
    split: Split = Field(default_factory=Split, description="who trains and who is tested")
    pairs: Pairs = Field(default_factory=Pairs, description="which pairs are registered")
    preprocessing: Literal["stepwise", "whole"] = Field(
        "stepwise",
        description="jobs of a scan: each step one, which can be rerun alone; or all of them in "
        "one, for thousands of scans (`threads.affine` holds for it)",
    )
    space: SpaceName = default(Gridded, "space")
    grid_mm: GridMm = default(Gridded, "mm")
    methods: list[str] = Field(
        default_factory=lambda: ["affine", "syn", "pmr", "pmr-cc"],
        min_length=1,
        description="methods that are compared: shipped names or YAML files",
    )
    network_mm: NetworkMm = None
    training: Limits = Field(default_factory=Limits, description="overrides of the schedule")
    device: Device = Field(
        default(Training, "device"),
        description="where networks run; with cpu, jobs ask for no GPU and run side by side",
    )
    devices: Devices = default(Training, "devices")
    weights: dict[str, str] = Field(
        default_factory=dict,
        description="method: folder with trained weights, or `shipped`; never retrained",
    )
    init: dict[str, str] = Field(
        default_factory=dict,
        description="learned method: folder with weights, or `shipped`, with which its training "
        "begins",
    )
    cohorts: dict[str, FurtherCohort] = Field(
        default_factory=dict,
        description="name: a further cohort that training draws from; under the study's own name, "
        "its weight",
    )
    reference: str | None = Field(
        None,
        description="method beside which the others are set, map by map; null: the teacher of each "
        "learned method, where it is among `methods`",
    )
    pairs_per_job: int = Field(
        20, ge=1, description="pairs that a job registers with one loaded network"
    )
    seeds: dict[str, list[int]] = Field(
        default_factory=dict,
        description="method: further seeds that it is trained with; seeds.tsv summarises them",
    )
    refine: dict[str, int] = Field(
        default_factory=dict,
        description="learned method: most steps of instance optimisation on each of its levels; a "
        "row of its own, with the method's weights",
    )
    refine_mm: RefineMm = default(Registration, "refine_mm")
    refine_elastic: RefineElastic = default(Registration, "refine_elastic")
    finetune: dict[str, int] = Field(
        default_factory=dict,
        description="learned method: steps in which its weights are tuned to each pair, on a copy, "
        "by its own objective; a row of its own",
    )
    finetune_rate: FinetuneRate = default(Registration, "finetune_rate")
    fields: bool = Field(
        True,
        description="keep the pairs' displacement fields; false removes them once scored, which "
        "leaves the report without grids, and scoring again registers again",
    )
    uncertainty: Samples = default(Registration, "uncertainty")
    parcellate: Parcellate = Field(
        default_factory=Parcellate, description="labels of scans from those registered to them"
    )
    template: TemplateSection = Field(
        default_factory=TemplateSection, description="the mean brain that target `template` makes"
    )
    maps: Maps = Field(
        default_factory=Maps, description="maps of local volume in the template's space"
    )
    change: ChangeSection = Field(
        default_factory=ChangeSection,
        description="what changed in each person since the first session (target `change`)",
    )
    threads: Threads = Field(default_factory=Threads, description="threads of each kind of job")
    seed: Seed = Field(SEED, description="seed of splits, pairs, affine and training")

    @field_validator("exclude", "overrides", "lesions")
    @classmethod
    def _prefixed(cls, value: dict[str, Any]) -> dict[str, Any]:
        return {with_prefix(name): item for name, item in value.items()}

    @field_validator("seeds")
    @classmethod
    def _seeds(cls, value: dict[str, list[int]]) -> dict[str, list[int]]:
        if not all(0 <= seed < MOST_SEEDS for seeds in value.values() for seed in seeds):
            raise ValueError(f"every seed is from 0 to {MOST_SEEDS - 1}")
        return value

    @field_validator("refine", "finetune")
    @classmethod
    def _steps(cls, value: dict[str, int]) -> dict[str, int]:
        if any(steps < 1 for steps in value.values()):
            raise ValueError("every method has one step at least; leave out those without")
        return value

    @field_validator("subjects")
    @classmethod
    def _prefixed_list(cls, value: list[str] | None) -> list[str] | None:
        return None if value is None else counted(value)

    @property
    def input_root(self) -> Path:
        """The input folder, with `~` and variables expanded."""
        return Path(os.path.expandvars(self.root)).expanduser()

    @property
    def paths(self) -> Results:
        """Paths of the results."""
        return Results(self.result_root, self.grid_mm, Space.load(self.space))

    @property
    def result_root(self) -> Path:
        """results/<cohort>."""
        return Path(os.path.expandvars(self.results)).expanduser() / self.cohort
