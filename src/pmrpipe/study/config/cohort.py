"""Sections that say whose scans are in a study: files, exceptions, splits, pairs."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from pmrpipe.study.config.names import counted
from pmrpipe.study.options.common import Contrast, Options, Orientation
from pmrpipe.study.options.preprocessing import Extractor, Holds


class Inputs(Options):
    """Which files of a BIDS dataset are taken."""

    contrast: Contrast = Field("T1w", description="suffix of the scans: docs/how-to/contrast.md")
    through_t1w: bool = Field(
        True,
        description="scans of another contrast are brought along through the T1w of their session, "
        "where there is one; false: each on its own",
    )
    also: list[Contrast] = Field(
        default_factory=list,
        description="further contrasts of the scans that train and validate: prepared and packed "
        "beside them, for a method whose `teacher` shows it these",
    )
    t1w_desc: str | None = Field(
        None, description="entity `desc-` of the scans' files; null takes files without it"
    )
    labels_root: str | None = Field(
        None, description="dataset that holds the label maps; null = `root`; relative to `root`"
    )
    labels_desc: str | None = Field(None, description="entity `desc-` of the `_dseg` files")
    masks_root: str | None = Field(
        None, description="dataset that holds existing brain masks; null = none are used"
    )
    masks_desc: str = Field("brain", description="entity `desc-` of the `_mask` files")
    acquisition: str | None = Field(
        None,
        description="of a session's T1w files those with this `acq-`; `none`: without; null: any",
    )
    ce: str | None = Field(
        None, description="the same by contrast agent, `ce-`; `none`: without; null: any"
    )
    reconstruction: str | None = Field(
        None, description="the same by reconstruction, `rec-`; `none`: without; null: any"
    )
    run: Literal["first", "last"] | int | None = Field(
        None, description="of a session's runs the first, the last, or that number; null: all"
    )


class Layout(Options):
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


class Override(Options):
    """Exceptions for one subject or scan, in place of touching its files."""

    input_state: Holds | None = Field(None, description="head or brain, for this one")
    brain: Extractor | None = Field(None, description="brain extraction, for this one")
    orientation: Orientation = None
    mask: str | None = Field(None, description="brain mask file, relative to `root`")
    labels: str | None = Field(None, description="label map file, relative to `root`")


class Split(Options):
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
            return counted(value)
        return value

    @model_validator(mode="after")
    def _one_way(self) -> Split:
        # An empty `test` says that the study only trains.
        if self.column is not None and (self.train or self.validation or self.test):
            raise ValueError("`column` says who trains and is tested: leave out the lists")
        return self


class FurtherCohort(Options):
    """A cohort that trains too: another study's, or, with a weight alone, the study's own."""

    study: str | None = Field(None, description="YAML of the study that preprocessed and packed it")
    arrays: str | None = Field(
        None, description="the arrays that it packed, `train/arrays_*.safetensors`"
    )
    weight: float = Field(
        1.0,
        gt=0,
        description="its share of the training steps is weight / sum of weights",
    )


class Pairs(Options):
    """Which ordered pairs (moving, fixed) of the test subjects are registered."""

    policy: Literal[
        "all", "to-template", "to-subject", "random", "file", "within-subject", "from-atlases"
    ] = Field(
        "all",
        description="all ordered pairs of different subjects; every scan to one; k random "
        "partners; a file; all ordered pairs of each subject's own scans; or every labelled "
        "training scan to each tested one",
    )
    subject: str | None = Field(None, description="the fixed scan of `to-subject`")
    k: int = Field(1, ge=1, description="partners per scan of `random`")
    file: str | None = Field(None, description="TSV with the columns moving and fixed, for `file`")
    moving: Contrast | None = Field(
        None, description="contrast of the moving scans; null: that of inputs.contrast"
    )
    fixed: Contrast | None = Field(None, description="the same of the fixed scans")

    @model_validator(mode="after")
    def _of_the_policy(self) -> Pairs:
        """Without a policy, which would be `all`, `file` and its like would be passed over.

        Beside a policy they may stand: `--config pairs={policy: all}` leaves them in the study.
        """
        words = {"subject": self.subject, "file": self.file, "k": self.k > 1}
        policies = {"subject": "to-subject", "file": "file", "k": "random"}
        for name, value in words.items():
            if value and "policy" not in self.model_fields_set:
                raise ValueError(f"`{name}` goes with policy: {policies[name]}")
        return self
