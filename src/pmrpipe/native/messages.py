"""Errors of preprocessing in the words of two scans: the user's file, which one, its options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pmrpipe.base.errors import PmrpipeError
from pmrpipe.native.request import Scan, Which

# A remedy of a study (keys of its configuration, leaving a scan out) is none for two scans.
_OF_A_STUDY = re.compile(r"overrides|exclude|input_state|head_template|masks_root|say it by orient")


@contextmanager
def about(which: Which, scan: Scan, flags: str | None = "--{which}-") -> Iterator[None]:
    """Errors raised inside name the scan's file, and options of the command.

    `flags` as in `Request`: where options belong to one of two scans, errors say which of them.

    Errors about another file of the user (a mask, a template) keep their subject.
    """
    try:
        yield
    except PmrpipeError as error:
        own = flags is not None and "{which}" in flags
        subject = _subject(error, f" ({which})" if own else "", scan)
        remedy = _remedy(error, None if flags is None else flags.format(which=which))
        raise type(error)(subject, error.problem, remedy) from None


def _subject(error: PmrpipeError, which: str, scan: Scan) -> str:
    """Result files, keys made of hashes and the scan itself become the scan."""
    inner = re.match(r"sub-[0-9a-f]{20}(_|$)", Path(error.subject).name)
    if inner or Path(error.subject) in (scan.path, scan.path.absolute()):
        return f"{scan.path}{which}"
    return error.subject.replace(str(scan.path.absolute()), str(scan.path))


def _remedy(error: PmrpipeError, flags: str | None) -> str:
    mask = "" if flags is None else f"{flags}mask"
    if "orientation" in error.problem:
        if flags is None:
            return "write the directions of its voxel axes into its header"
        return f"name the directions of its voxel axes: {flags}orientation RAS, LAS, LPS ..."
    if "no extracted brain" in error.problem:
        return "leave --brain-extracted out" + (f", or give {mask}" if mask else "")
    if "not aligned" in error.problem:
        first = f"give its brain mask by {mask}, " if mask else ""
        return (
            f"{first}see whether its header tells left from right "
            "and up from down, and say --brain-extracted where the scans hold brains alone"
        )
    if _OF_A_STUDY.search(error.remedy):
        return f"give its brain mask by {mask}" if mask else "extract the brains of all scans first"
    return error.remedy
