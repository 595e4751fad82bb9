"""File names of BIDS: which are scans of a contrast, of whom, and which of them a study takes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from pmrpipe.base.errors import InputError
from pmrpipe.study.config.cohort import Inputs
from pmrpipe.study.keys import CONTRASTS, T1W, scan_key

EXTENSIONS = (".nii.gz", ".nii", ".mgz", ".hdr", ".img", ".img.gz")
SUBJECT = re.compile(r"sub-[A-Za-z0-9]+")
_NAME = re.compile(
    r"^(?P<key>sub-[A-Za-z0-9]+(?:_ses-[A-Za-z0-9]+)?)(?P<entities>(?:_[a-z]+-[A-Za-z0-9+]+)*)"
    rf"_(?P<contrast>{'|'.join(CONTRASTS)})\."
)
# A contrast as people write it, also without its w; and as the space of another image.
_WORD = {contrast: re.sub("w$", "w?", contrast) for contrast in CONTRASTS}
_NEARLY = {
    contrast: re.compile(rf"(?<![a-z0-9]){word}(?![a-z0-9])", re.IGNORECASE)
    for contrast, word in _WORD.items()
}
_REFERENCE = {c: re.compile(rf"(space|from|to)-{word}") for c, word in _WORD.items()}
# Images that are no scans although they name a contrast.
_OTHER_IMAGES = ("_mask", "_dseg", "_probseg", "_bold", "_xfm", "_roi", "_boldref")
# Keys of `inputs` that choose among the scans of a session, and the entities that they name.
_CHOICES = {"acquisition": "acq", "ce": "ce", "reconstruction": "rec"}


class ScanName(NamedTuple):
    """The file of a scan.

    session : sub-X[_ses-Y]
    entities : those behind it, in their order
    here : whether its content is: no dangling link
    """

    path: Path
    session: str
    entities: tuple[tuple[str, str], ...]
    here: bool = True
    contrast: str = T1W

    @property
    def key(self) -> str:
        """sub-X[_ses-Y][_run-N], and the contrast unless it is T1w."""
        run = dict(self.entities).get("run") if self.entities else None
        return scan_key(f"{self.session}_run-{run}" if run else self.session, self.contrast)

    @property
    def image(self) -> str:
        """Its name without extension: .hdr and .img are one image."""
        return image_name(self.path.name)


def image_name(file: str) -> str:
    """A file's name, the same for both halves of an Analyze pair."""
    return re.sub(r"\.(hdr|img)(\.gz)?$", "", file)


def scan_name(folder: str, file: str, here: bool = True, contrast: str = T1W) -> ScanName | None:
    """The parts of the name of a scan of this contrast, None when it is no such name."""
    match = _NAME.match(file)
    if not match or match["contrast"] != contrast or not file.endswith(EXTENSIONS):
        return None
    session, entities, _ = match.groups()
    pairs = [item.partition("-") for item in entities.split("_")[1:]]
    named = tuple((name, value) for name, _, value in pairs)
    return ScanName(Path(f"{folder}/{file}"), session, named, here, contrast)


def is_nearly(contrast: str, name: str) -> bool:
    """Whether somebody may have meant a name that is not BIDS as a scan of this contrast."""
    if not name.lower().endswith(EXTENSIONS):
        return False
    stem = _REFERENCE[contrast].sub("", name.split(".")[0])
    return _NEARLY[contrast].search(stem) is not None and not stem.endswith(_OTHER_IMAGES)


def unwanted(name: ScanName, inputs: Inputs) -> str | None:
    """Why a study does not take a scan, None when it does."""
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


def of_run(names: list[ScanName], run: str | int | None) -> tuple[list[ScanName], list[ScanName]]:
    """The scans of the run that a study takes of each session, and the others."""
    if run is None:
        return names, []
    sessions: dict[str, list[ScanName]] = defaultdict(list)
    for name in names:
        sessions[name.session].append(name)
    taken = [name for group in sessions.values() for name in _of_run(group, run)]
    return taken, [name for name in names if name not in taken]


def _of_run(group: list[ScanName], run: str | int) -> list[ScanName]:
    numbers = {name: _number(dict(name.entities).get("run", "0")) for name in group}
    wanted = {"first": min(numbers.values()), "last": max(numbers.values())}.get(str(run), run)
    return [name for name in group if numbers[name] == wanted]


def _number(run: str) -> int:
    return int(run) if run.isdigit() else 0


def by_key(names: Iterable[ScanName]) -> tuple[dict[str, ScanName], dict[str, InputError]]:
    """One file for each key, and what is wrong where two have the same."""
    first: dict[str, ScanName] = {}
    problems: dict[str, InputError] = {}
    for name in names:
        other = first.setdefault(name.key, name)
        if other.image != name.image and name.key not in problems:
            problem = f"and {name.path.name} are both the {name.contrast} of {name.key}"
            problems[name.key] = InputError(other.path, problem, _how_to_choose(other, name))
    return first, problems


def _how_to_choose(one: ScanName, other: ScanName) -> str:
    mine, others = dict(one.entities), dict(other.entities)
    for key, entity in _CHOICES.items():
        if mine.get(entity) != others.get(entity):
            values = [entities.get(entity, "none") for entities in (mine, others)]
            return f"choose by inputs: {{{key}: {values[0]}}} or {{{key}: {values[1]}}}"
    return "tell them apart by run-, or exclude the scan"
