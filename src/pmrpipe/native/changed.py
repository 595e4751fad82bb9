"""The folder that the change between scans as they come goes to: what may be replaced there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_json
from pmrpipe.base.outputs import is_one_of
from pmrpipe.stages.change.result import FACTS, TABLE

PAGE = "qc.html"


def require_free(folder: Path, inputs: Sequence[Path]) -> None:
    """Raises InputError where a result would take the place of an input, or of others' files."""
    there = [
        path for path in (folder / name for name in (TABLE, FACTS, PAGE)) if os.path.lexists(path)
    ]
    there += sorted(folder.glob("scan-*_*.nii.gz")) + sorted(folder.glob("from-*_xfm.nii.gz"))
    there += sorted(folder.glob("space-scan*_mask.nii.gz"))
    remedy = "choose another --output, or say --overwrite"
    for path in there:
        if is_one_of(path, inputs):
            problem = "is an input, and the result would take its place"
            raise InputError(path, problem, remedy)
    if there and not _is_own(folder / FACTS):
        problem = "was not written by pmrpipe change, and the result would take its place"
        raise InputError(there[0], problem, remedy)


def _is_own(path: Path) -> bool:
    try:
        facts = read_json(path)
    except InputError:
        return False
    maker = facts.get("GeneratedBy") if isinstance(facts, dict) else None
    return isinstance(maker, dict) and maker.get("Name") == "pmrpipe" and "scans" in facts
