"""File names of BIDS: which are T1w scans, of whom, and which of them a study takes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from pmrpipe.base.errors import InputError
from pmrpipe.study.config.cohort import Inputs

EXTENSIONS = (".nii.gz", ".nii", ".mgz", ".hdr", ".img", ".img.gz")
SUBJECT = re.compile(r"sub-[A-Za-z0-9]+")
_NAME = re.compile(
    r"^(?P<key>sub-[A-Za-z0-9]+(?:_ses-[A-Za-z0-9]+)?)(?P<entities>(?:_[a-z]+-[A-Za-z0-9+]+)*)_T1w\."
)
_NEARLY = re.compile(r"(?<![a-z0-9])t1w?(?![a-z0-9])", re.IGNORECASE)
# T1w as the space of another image, and images that are no T1w although they name it.
_REFERENCE = re.compile(r"(space|from|to)-T1w?")
_OTHER_IMAGES = ("_mask", "_dseg", "_probseg", "_bold", "_xfm", "_roi", "_boldref")
# Keys of `inputs` that choose among the scans of a session, and the entities that they name.
_CHOICES = {"acquisition": "acq", "ce": "ce", "reconstruction": "rec"}


class T1wName(NamedTuple):
    """A T1w file.

    session : sub-X[_ses-Y]
    entities : those behind it, in their order
    here : whether its content is: no dangling link
    """

    path: Path
    session: str
    entities: tuple[tuple[str, str], ...]
    here: bool = True

    @property
    def key(self) -> str:
        """sub-X[_ses-Y][_run-N]."""
        run = dict(self.entities).get("run") if self.entities else None
        return f"{self.session}_run-{run}" if run else self.session

    @property
    def image(self) -> str:
        """Its name without extension: .hdr and .img are one image."""
        return image_name(self.path.name)


def image_name(file: str) -> str:
    """A file's name, the same for both halves of an Analyze pair."""
    return re.sub(r"\.(hdr|img)(\.gz)?$", "", file)


def t1w_name(folder: str, file: str, here: bool = True) -> T1wName | None:
    """The parts of a T1w file's name, None when it is no such name."""
    match = _NAME.match(file)
    if not match or not file.endswith(EXTENSIONS):
        return None
    session, entities = match.groups()
    pairs = [item.partition("-") for item in entities.split("_")[1:]]
    return T1wName(
        Path(f"{folder}/{file}"), session, tuple((name, value) for name, _, value in pairs), here
    )


def is_nearly_t1w(name: str) -> bool:
    """Whether somebody may have meant a name that is not BIDS as that of a T1w scan."""
    if not name.lower().endswith(EXTENSIONS):
        return False
    stem = _REFERENCE.sub("", name.split(".")[0])
    return _NEARLY.search(stem) is not None and not stem.endswith(_OTHER_IMAGES)


def unwanted(name: T1wName, inputs: Inputs) -> str | None:
    """Why a study does not take a T1w file, None when it does."""
    entities = dict(name.entities)
    if "space" in entities:
        return "in a template's space"
    if entities.get("desc") != inputs.t1w_desc:
        return f"{_value('desc', entities)} is not inputs.t1w_desc"
    for key, entity in _CHOICES.items():
        wanted = getattr(inputs, key)
        if wanted is not None and entities.get(entity, "none") != wanted:
            return f"{_value(entity, entities)} is not inputs.{key}"
    return None


def _value(entity: str, entities: dict[str, str]) -> str:
    return f"{entity}-{entities[entity]}" if entity in entities else f"no {entity}-"


def of_run(names: list[T1wName], run: str | int | None) -> tuple[list[T1wName], list[T1wName]]:
    """The T1w files of the run that a study takes of each session, and the others."""
    if run is None:
        return names, []
    sessions: dict[str, list[T1wName]] = defaultdict(list)
    for name in names:
        sessions[name.session].append(name)
    taken = [name for group in sessions.values() for name in _of_run(group, run)]
    return taken, [name for name in names if name not in taken]


def _of_run(group: list[T1wName], run: str | int) -> list[T1wName]:
    numbers = {name: _number(dict(name.entities).get("run", "0")) for name in group}
    wanted = {"first": min(numbers.values()), "last": max(numbers.values())}.get(str(run), run)
    return [name for name in group if numbers[name] == wanted]


def _number(run: str) -> int:
    return int(run) if run.isdigit() else 0


def by_key(names: Iterable[T1wName]) -> tuple[dict[str, T1wName], dict[str, InputError]]:
    """One file for each key, and what is wrong where two have the same."""
    first: dict[str, T1wName] = {}
    problems: dict[str, InputError] = {}
    for name in names:
        other = first.setdefault(name.key, name)
        if other.image != name.image and name.key not in problems:
            problem = f"and {name.path.name} are both the T1w of {name.key}"
            problems[name.key] = InputError(other.path, problem, _how_to_choose(other, name))
    return first, problems


def _how_to_choose(one: T1wName, other: T1wName) -> str:
    mine, others = dict(one.entities), dict(other.entities)
    for key, entity in _CHOICES.items():
        if mine.get(entity) != others.get(entity):
            values = [entities.get(entity, "none") for entities in (mine, others)]
            return f"choose by inputs: {{{key}: {values[0]}}} or {{{key}: {values[1]}}}"
    return "tell them apart by run-, or exclude the scan"
