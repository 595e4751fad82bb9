"""What the other stages know of a scan."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pmrpipe.base.errors import InputError
from pmrpipe.study.config import Study
from pmrpipe.study.config.cohort import Override
from pmrpipe.study.keys import contrast_of, session_of

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Scan:
    """One image of a study.

    `key` is sub-X[_ses-Y][_run-N], with _CONTRAST behind it unless that is T1w; `split` is None for
    a scan in no split; `through` the key of the T1w of its session through which a scan of another
    contrast is brought along; paths are as found.
    """

    key: str
    image: Path
    labels: Path | None = None
    mask: Path | None = None
    input_state: str = "head"
    brain: str = "deepbet"
    orientation: str | None = None
    split: str | None = None
    through: str | None = None
    lesion: Path | None = None

    @property
    def contrast(self) -> str:
        """BIDS suffix: T1w, T2w ..."""
        return contrast_of(self.key)

    @property
    def subject(self) -> str:
        """The participant, sub-X."""
        return self.key.split("_")[0]

    @property
    def session(self) -> str | None:
        return session_of(self.key)


@dataclass(frozen=True)
class Cohort:
    """The scans of a study, sorted by key, and what is not among them.

    excluded : scans that the study leaves out, with its reason
    skipped : files and folders below the dataset that are no part of the study, with the reason
    remarks : sentences on scans that lack something
    helpers : T1w scans of sessions whose scans of another contrast go through them, in no split
    beside : scans of `inputs.also` beside those that train and validate, in no split themselves
    """

    scans: tuple[Scan, ...]
    excluded: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    helpers: tuple[Scan, ...] = ()
    beside: tuple[Scan, ...] = ()

    @property
    def keys(self) -> list[str]:
        """Keys of the scans in a split: the others are not touched."""
        return [scan.key for scan in self.scans if scan.split]

    def of(self, *splits: str) -> list[Scan]:
        """The scans of the named splits, in order of their keys."""
        return [scan for scan in self.scans if scan.split in splits]


def brain_method(study: Study, key: str) -> tuple[str, str]:
    """Input state and brain extraction of a scan: override, study key, then the state's default."""
    state, method = study.input_state, study.brain
    for override in _overriding(study, key):
        state = override.input_state or state
        method = override.brain or method
    if method == "template" and None in (study.head_template.head, study.head_template.brain):
        problem = "brain extraction `template` is chosen but has no template"
        raise InputError(key, problem, "set head_template.head and head_template.brain")
    return state, method or ("deepbet" if state == "head" else "nonzero")


def overrides_of(study: Study, key: str) -> dict[str, Any]:
    """What the study overrides for a scan: of its subject, its session, then of itself."""
    return {
        name: value
        for override in _overriding(study, key)
        for name, value in override.model_dump(exclude_none=True).items()
    }


def _overriding(study: Study, key: str) -> list[Override]:
    """The overrides that mean a scan, the most particular last."""
    if not study.overrides:
        return []
    parts = key.split("_")
    names = ("_".join(parts[: end + 1]) for end in range(len(parts)))
    return [study.overrides[name] for name in names if name in study.overrides]


def named_file(study: Study, name: str | None, key: str = "overrides") -> Path | None:
    """A file that the study names under `key`; InputError when it does not exist."""
    if name is None:
        return None
    path = study.input_root / name
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(path, f"is named in {key} but {problem}", "name the file")
    return path


def chosen_method(study: Study, key: str, mask: Path | None) -> str:
    """Brain extraction of a scan: a mask that is there is used unless the study says otherwise."""
    method = brain_method(study, key)[1]
    if mask is not None and study.brain is None and "brain" not in overrides_of(study, key):
        method = "mask"
    if method == "mask" and mask is None:
        problem = "brain extraction `mask` is chosen but no mask is found"
        raise InputError(key, problem, "set inputs.masks_root or overrides.<subject>.mask")
    return method
