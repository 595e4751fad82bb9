"""Who trains, validates and is tested. A subject's sessions and runs always stay together."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pmrpipe.base.errors import InputError
from pmrpipe.stages.cohort.scans import SPLITS, Scan
from pmrpipe.study.config import Split
from pmrpipe.study.participants import read_participants


def assign(scans: Sequence[Scan], split: Split, seed: int, participants: Path) -> list[Scan]:
    """Set the split of every scan; without train and validation everyone is tested.

    Raises
    ------
    InputError : a subject stands in two splits or does not exist; no such column
    """
    subjects = sorted({scan.subject for scan in scans})
    if split.column is not None:
        roles = _from_column(subjects, split.column, participants)
    else:
        roles = _from_lists(subjects, split, seed)
    return [replace(scan, split=roles.get(scan.subject)) for scan in scans]


def _from_lists(subjects: list[str], split: Split, seed: int) -> dict[str, str]:
    chosen = {name: getattr(split, name) for name in SPLITS}
    roles: dict[str, str] = {}
    for name, names in chosen.items():
        for subject in names if isinstance(names, list) else []:
            if subject in roles and roles[subject] != name:
                problem = f"stands in both {roles[subject]} and {name}"
                raise InputError(f"split: {subject}", problem, "keep it in one of them")
            roles[subject] = name
    free = [subject for subject in subjects if subject not in roles]
    random.Random(seed).shuffle(free)
    for name, share in chosen.items():
        if isinstance(share, float | int) and not isinstance(share, bool):
            count = min(len(free), round(share * len(subjects)))
            roles.update(dict.fromkeys(free[:count], name))
            free = free[count:]
    if split.test is None:
        roles.update(dict.fromkeys(free, "test"))
    return roles


def _from_column(subjects: list[str], column: str, participants: Path) -> dict[str, str]:
    table = read_participants(participants, required=(column,))
    roles: dict[str, str] = {}
    for subject, role in zip(table["participant_id"], table[column], strict=True):
        if str(role) not in (*SPLITS, "nan"):
            problem = f"column {column} says {role!r} for {subject}"
            raise InputError(participants, problem, f"use {', '.join(SPLITS)} or n/a")
        if roles.get(subject, role) != role:
            raise InputError(participants, f"{subject} stands in two splits", "keep one row")
        roles[subject] = str(role)
    return {name: roles[name] for name in subjects if roles.get(name) in SPLITS}


def require_known(split: Split, known: set[str], excluded: set[str], root: Path) -> None:
    """Raise InputError when a split names a subject that the dataset does not hold."""
    for name in SPLITS:
        names = getattr(split, name)
        for subject in names if isinstance(names, list) else []:
            if subject not in known and subject not in excluded:
                problem = f"has no scan of {subject}, named under split.{name}"
                raise InputError(root, problem, "correct the list")
