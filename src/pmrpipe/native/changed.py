"""The folder that the change between scans as they come goes to: what may be replaced there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pmrpipe.base.outputs import require_replaceable
from pmrpipe.stages.change.result import FACTS, TABLE
from pmrpipe.stages.cohort.results_folder import require_no_other_dataset

PAGE = "qc.html"


def require_free(folder: Path, inputs: Sequence[Path]) -> None:
    """Raises InputError where a result would take the place of an input, or of others' files."""
    require_no_other_dataset(folder)
    there = [
        path for path in (folder / name for name in (TABLE, FACTS, PAGE)) if os.path.lexists(path)
    ]
    there += sorted(folder.glob("scan-*_*.nii.gz")) + sorted(folder.glob("from-*_xfm.nii.gz"))
    there += sorted(folder.glob("space-scan*_mask.nii.gz"))
    require_replaceable(there, inputs, "change", folder / FACTS, "scans")
