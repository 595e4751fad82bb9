"""What a reader finds in a dataset, usable or not: nothing is left out silently.

A reader raises only what stands in the way of the whole study. What concerns one scan it notes as
a problem, so that `exclude` can act before anything is refused.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pmrpipe.base.errors import InputError
from pmrpipe.stages.cohort.scans import Scan

_SHOWN = 3


@dataclass
class Listing:
    """Scans of a dataset as a reader lists them.

    scans : usable ones, and those with a problem where their key is known
    problems : scan or subject: why it cannot be used as it is
    skipped : name below the dataset: why it is not part of the study
    subjects : every subject that the dataset has a folder of, those not wanted included
    remarks : sentences for whoever runs the study
    """

    scans: list[Scan] = field(default_factory=list)
    problems: dict[str, InputError] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    subjects: set[str] = field(default_factory=set)
    remarks: list[str] = field(default_factory=list)


def covers(name: str, key: str) -> bool:
    """Whether a study's name for a subject, session or scan means the scan `key`."""
    return key == name or key.startswith(f"{name}_")


def require_named(where: str, names: Iterable[str], listing: Listing) -> None:
    """InputError when `names`, given under the key `where`, hold one that the dataset lacks."""
    keys = {*(scan.key for scan in listing.scans), *listing.problems}
    listed = {key.split("_")[0] for key in keys}
    parts = {key[:end] for key in keys for end in _ends(key)}
    for name in names:
        # Of a subject that this study does not take, the scans are not known.
        unlisted = name.split("_")[0] in listing.subjects - listed
        if name in parts or name in listing.subjects or unlisted:
            continue
        near = difflib.get_close_matches(name, sorted(parts | listing.subjects), 1, 0.7)
        remedy = f"is it {near[0]}?" if near else "correct the name"
        raise InputError(where, f"names {name}, which the dataset does not hold", remedy)


def _ends(key: str) -> list[int]:
    """Where the entities of a key end: behind sub-X, ses-Y and run-N."""
    return [place for place, letter in enumerate(key) if letter == "_"] + [len(key)]


def named(items: Iterable[str], count: int | None = None) -> str:
    """The first few of some names, and how many there are beside them."""
    names = list(items)
    shown = ", ".join(names[:_SHOWN])
    more = (len(names) if count is None else count) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def skipped_sentences(skipped: Mapping[str, str]) -> list[str]:
    """One sentence for each reason: how many, why, and the first names."""
    counts = Counter(skipped.values())
    return [
        f"{count} skipped, {reason}: "
        + named(name for name, other in skipped.items() if other == reason)
        for reason, count in counts.items()
    ]


def require_folder(key: str, folder: Path) -> None:
    """InputError when a folder that the configuration names under `key` does not exist."""
    if not folder.is_dir():
        raise InputError(key, f"there is no folder {folder}", "correct it; it is relative to root")


def content_problem(path: Path) -> InputError | None:
    """What is wrong with a file that is listed: a link whose content is not here."""
    if path.exists():
        return None
    problem = "is a link without content" if path.is_symlink() else "no such file"
    return InputError(
        path, problem, "fetch it (`datalad get` for datalad and git-annex), or exclude it"
    )
