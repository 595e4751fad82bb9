"""Configuration of a study: every key with its type, default and description.

The classes are the single source: the JSON schema (`data/schemas/config.schema.json`) and the
table in `config/README.md` are generated from them and checked by a test.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pmrpipe.base.errors import InputError

InputState = Literal["head", "brain"]
BrainMethod = Literal["deepbet", "template", "mask", "nonzero"]
LabelInterpolation = Literal["nearest", "genericLabel"]
_ORIENTATION = (
    r"^[RL][AP][SI]$|^[RL][SI][AP]$|^[AP][RL][SI]$|^[AP][SI][RL]$|^[SI][RL][AP]$|^[SI][AP][RL]$"
)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Embedded(_Section):
    """The simulated cohort (reader `embedded`)."""

    subjects: int = Field(8, ge=4, le=999, description="number of simulated subjects")
    mm: float = Field(1.0, ge=0.8, le=6, description="mean voxel size of the simulated scans, mm")
    seed: int = Field(2019, ge=0, description="seed of the simulation")


class Inputs(_Section):
    """Which files of a BIDS dataset are taken."""

    t1w_desc: str | None = Field(
        None, description="entity `desc-` of the T1w files; null takes files without it"
    )
    labels_root: str | None = Field(
        None, description="dataset that holds the label maps; null = `root`; relative to `root`"
    )
    labels_desc: str | None = Field(None, description="entity `desc-` of the `_dseg` files")
    masks_root: str | None = Field(
        None, description="dataset that holds existing brain masks; null = none are used"
    )
    masks_desc: str = Field("brain", description="entity `desc-` of the `_mask` files")


class Layout(_Section):
    """How a dataset that is not BIDS names its files (reader `pattern`).

    `{subject}` stands for the subject's name in the dataset, `*` for anything within one name.
    """

    t1w: list[str] = Field(
        default_factory=list,
        description="patterns of the T1w files below `root`; the first that a subject has is taken",
    )
    labels: list[str] = Field(
        default_factory=list, description="names of the label map, seen from the T1w's folder"
    )
    masks: list[str] = Field(
        default_factory=list,
        description="names of an existing brain mask, seen from the T1w's folder",
    )
    subject: str = Field(
        "[A-Za-z0-9._-]+", description="regular expression of a subject's name in the dataset"
    )

    @field_validator("t1w")
    @classmethod
    def _names_subjects(cls, value: list[str]) -> list[str]:
        if not all("{subject}" in pattern for pattern in value):
            raise ValueError("every pattern holds {subject}")
        return value

    @field_validator("subject")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"is no regular expression ({error})") from None
        return value


class HeadTemplate(_Section):
    """The template of brain extraction by `template`."""

    head: str | None = Field(None, description="whole T1w head, for brain extraction `template`")
    brain: str | None = Field(
        None, description="on its grid, the brain's probability, its mask, or the brain cut out"
    )


class Override(_Section):
    """Exceptions for one subject or scan, in place of touching its files."""

    input_state: InputState | None = Field(None, description="head or brain, for this one")
    brain: BrainMethod | None = Field(None, description="brain extraction, for this one")
    orientation: str | None = Field(
        None, pattern=_ORIENTATION, description="orientation code where the header has none"
    )
    mask: str | None = Field(None, description="brain mask file, relative to `root`")
    labels: str | None = Field(None, description="label map file, relative to `root`")


class Split(_Section):
    """Who trains, validates and is tested; a subject's scans always stay together."""

    train: list[str] | float = Field(
        default_factory=list, description="subjects, or the fraction of all (drawn with `seed`)"
    )
    validation: list[str] | float = Field(
        default_factory=list, description="subjects, or the fraction of all"
    )
    test: list[str] | float | None = Field(
        None, description="subjects, or the fraction of all; null = everyone else"
    )
    column: str | None = Field(
        None, description="column of participants.tsv that says train, validation or test"
    )

    @field_validator("train", "validation", "test")
    @classmethod
    def _fraction(cls, value: list[str] | float | None) -> list[str] | float | None:
        if isinstance(value, float) and not 0 <= value <= 1:
            raise ValueError("a fraction lies between 0 and 1")
        if isinstance(value, list):
            return _counted(value)
        return value


class Pairs(_Section):
    """Which ordered pairs (moving, fixed) of the test subjects are registered."""

    policy: Literal["all", "to-template", "to-subject", "random", "file"] = Field(
        "all", description="all ordered pairs; every scan to one; k random partners; or a file"
    )
    subject: str | None = Field(None, description="the fixed scan of `to-subject`")
    k: int = Field(1, ge=1, description="partners per scan of `random`")
    file: str | None = Field(None, description="TSV with the columns moving and fixed, for `file`")


class Training(_Section):
    """Overrides of the methods' own schedule; null keeps what the method's YAML says."""

    max_steps: int | None = Field(
        None, ge=1, description="optimiser steps per network (reproducible to the bit)"
    )
    max_minutes: float | None = Field(
        None, gt=0, description="wall-clock limit per network, in place of steps"
    )
    validate_every: int | None = Field(None, ge=1, description="steps between validations")


class Threads(_Section):
    """Threads of each kind of job: fixed here, so that results do not depend on --cores."""

    brain: int = Field(1, ge=1, description="brain extraction")
    affine: int = Field(
        1, ge=1, description="affine normalisation; more than 1 is not reproducible"
    )
    training: int = Field(1, ge=1, description="training of one network on a CPU")
    registration: int = Field(
        1, ge=1, description="registration of pairs; SyN: more than 1 is not reproducible"
    )


class Study(_Section):
    """One study: a cohort, what is done to it, and the methods that are compared."""

    cohort: str = Field(
        "embedded", pattern=r"^[A-Za-z0-9_-]+$", description="name of the study and of its results"
    )
    reader: Literal["embedded", "bids", "fmriprep", "freesurfer", "pattern"] = Field(
        "bids",
        description="how the input folder is laid out; fmriprep and freesurfer: the derivatives, "
        "with their brain masks and aseg labels",
    )
    root: str = Field(..., description="input folder; read only, except for reader `embedded`")
    results: str = Field("results", description="folder that receives results/<cohort>")
    embedded: Embedded = Field(default_factory=Embedded, description="the simulated cohort")
    inputs: Inputs = Field(default_factory=Inputs, description="which files are taken")
    layout: Layout = Field(default_factory=Layout, description="files of a dataset by pattern")
    subjects: list[str] | None = Field(
        None,
        description="only these subjects, all of which must be there; null takes all that are "
        "found; S{01..40} counts",
    )
    exclude: dict[str, str] = Field(
        default_factory=dict, description="subject or scan: reason; listed in the report"
    )
    input_state: InputState = Field("head", description="whole heads, or brains already extracted")
    brain: BrainMethod | None = Field(
        None, description="brain extraction; null: deepbet for heads, nonzero for brains"
    )
    head_template: HeadTemplate = Field(
        default_factory=HeadTemplate, description="what brain extraction `template` registers"
    )
    bias_correction: Literal["none", "n4"] = Field(
        "none", description="n4 corrects the intensity bias of each extracted brain"
    )
    orientation: str | None = Field(
        None, pattern=_ORIENTATION, description="orientation code where headers have none"
    )
    overrides: dict[str, Override] = Field(
        default_factory=dict, description="subject or scan: exceptions"
    )
    labels: str | None = Field(
        None, description="label table: a shipped name or a TSV; null = cohort without labels"
    )
    labels_interpolation: LabelInterpolation = Field(
        "nearest", description="how label maps are resampled"
    )
    split: Split = Field(default_factory=Split, description="who trains and who is tested")
    pairs: Pairs = Field(default_factory=Pairs, description="which pairs are registered")
    preprocessing: Literal["stepwise", "whole"] = Field(
        "stepwise",
        description="jobs of a scan: each step one, which can be rerun alone; or all of them in "
        "one, for thousands of scans (`threads.affine` holds for it)",
    )
    grid_mm: float = Field(1.0, gt=0, le=8, description="voxel size of the template grid, mm")
    methods: list[str] = Field(
        default_factory=lambda: ["affine", "syn", "pmr", "pmr-cc"],
        min_length=1,
        description="methods that are compared: shipped names or YAML files",
    )
    network_mm: float | None = Field(
        None, gt=0, description="voxel size inside the networks, mm; null: the method's own"
    )
    training: Training = Field(default_factory=Training, description="overrides of the schedule")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="where networks run; with cpu, jobs ask for no GPU and run side by side",
    )
    devices: int = Field(
        1, ge=1, description="GPUs that train one network together; on a CPU, processes"
    )
    weights: dict[str, str] = Field(
        default_factory=dict,
        description="method: folder with trained weights, or `shipped`; never retrained",
    )
    init: dict[str, str] = Field(
        default_factory=dict,
        description="learned method: folder with weights, or `shipped`, with which its training "
        "begins",
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
    refine_mm: float = Field(
        1.0,
        gt=0,
        description="finest level of instance optimisation: 2 is faster and smoother, 1 more "
        "accurate; levels finer than 2 mm take a quarter of the steps",
    )
    fields: bool = Field(
        True,
        description="keep the pairs' displacement fields; false removes them once scored, which "
        "leaves the report without grids, and scoring again registers again",
    )
    uncertainty: int = Field(
        0,
        ge=0,
        description="samples of the posterior from which each probabilistic network's pairs get a "
        "map of the displacement's standard deviation in mm; 0: none, else at least 2",
    )
    threads: Threads = Field(default_factory=Threads, description="threads of each kind of job")
    seed: int = Field(2019, ge=0, description="seed of splits, pairs, affine and training")

    @field_validator("exclude", "overrides")
    @classmethod
    def _prefixed(cls, value: dict[str, Any]) -> dict[str, Any]:
        return {_with_prefix(name): item for name, item in value.items()}

    @field_validator("subjects")
    @classmethod
    def _prefixed_list(cls, value: list[str] | None) -> list[str] | None:
        return None if value is None else _counted(value)

    @field_validator("uncertainty")
    @classmethod
    def _enough_samples(cls, value: int) -> int:
        if value == 1:
            raise ValueError("one sample has no deviation: 0, or at least 2")
        return value

    @property
    def input_root(self) -> Path:
        """The input folder, with `~` and variables expanded."""
        return Path(os.path.expandvars(self.root)).expanduser()

    @property
    def result_root(self) -> Path:
        """results/<cohort>."""
        return Path(os.path.expandvars(self.results)).expanduser() / self.cohort


def subject_key(name: str) -> str:
    """sub-X for a subject's name in its dataset: letters and digits alone are kept."""
    return "sub-" + re.sub("[^A-Za-z0-9]", "", name)


def _with_prefix(name: str) -> str:
    """`sub-X` and everything behind it as it is; else the name as a key, entities kept."""
    if name.startswith("sub-"):
        return name
    entities = re.search(r"(_ses-|_run-).*$", name)
    end = entities.start() if entities else len(name)
    return subject_key(name[:end]) + name[end:]


def _counted(names: list[str]) -> list[str]:
    """Keys of subjects; `S{01..40}` stands for forty of them."""
    found = []
    for name in names:
        span = re.search(r"\{(\d+)\.\.(\d+)\}", name)
        if span is None:
            found.append(_with_prefix(name))
            continue
        first, last = span.groups()
        for number in range(int(first), int(last) + 1):
            digits = str(number).zfill(len(first))
            found.append(_with_prefix(name[: span.start()] + digits + name[span.end() :]))
    return found


def parse(content: dict[str, Any], source: object = "configuration") -> Study:
    """Check a configuration; InputError names the key that is wrong and what was expected."""
    try:
        return Study.model_validate(content)
    except ValidationError as error:
        raise InputError(
            source, _first_problem(error), "config/README.md lists every key"
        ) from None


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"]) or "(top level)"
    if first["type"] == "extra_forbidden":
        return f"unknown key `{key}`"
    if first["type"] == "missing":
        return f"key `{key}` is missing"
    return f"key `{key}`: {first['msg']}, got {first['input']!r}"


def load(source: str | os.PathLike[str]) -> Study:
    """Read a study from a YAML file, or from JSON text when `source` begins with a brace."""
    import yaml

    text = os.fspath(source)
    if text.lstrip().startswith("{"):
        return parse(json.loads(text))
    try:
        content = yaml.safe_load(Path(text).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(text, "no such file") from None
    except (OSError, yaml.YAMLError) as error:
        raise InputError(text, f"is not readable YAML ({error})") from None
    return parse(content or {}, text)


def schema() -> dict[str, Any]:
    """JSON schema of the configuration, for editors and for the tests."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Study.model_json_schema(),
        "title": "pmrpipe study",
    }
