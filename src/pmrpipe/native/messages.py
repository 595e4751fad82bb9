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
def about(which: Which, scan: Scan) -> Iterator[None]:
    """Errors raised inside name the scan's file, say which of the two, and name options of both.

    Errors about another file of the user (a mask, a template) keep their subject.
    """
    try:
        yield
    except PmrpipeError as error:
        raise type(error)(
            _subject(error, which, scan), error.problem, _remedy(error, which)
        ) from None


def _subject(error: PmrpipeError, which: Which, scan: Scan) -> str:
    """Result files, keys made of hashes and the scan itself become the scan."""
    inner = re.match(r"sub-[0-9a-f]{20}(_|$)", Path(error.subject).name)
    if inner or Path(error.subject) in (scan.path, scan.path.absolute()):
        return f"{scan.path} ({which})"
    return error.subject.replace(str(scan.path.absolute()), str(scan.path))


def _remedy(error: PmrpipeError, which: Which) -> str:
    if "orientation" in error.problem:
        return f"name the directions of its voxel axes: --{which}-orientation RAS, LAS, LPS ..."
    if "no extracted brain" in error.problem:
        return f"leave --brain-extracted out, or give --{which}-mask"
    if "not aligned" in error.problem:
        return (
            f"give its brain mask by --{which}-mask, see whether its header tells left from right "
            "and up from down, and say --brain-extracted where the scans hold brains alone"
        )
    if _OF_A_STUDY.search(error.remedy):
        return f"give its brain mask by --{which}-mask"
    return error.remedy
