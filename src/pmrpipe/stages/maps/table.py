"""The mask and the table of files and covariates that statistics begin with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_tsv, write_tsv
from pmrpipe.images.volume import write_volume
from pmrpipe.study.keys import subject_of
from pmrpipe.study.paths import Results

if TYPE_CHECKING:
    import pandas as pd


def gather(results: Results, keys: Sequence[str], participants: Path | None) -> None:
    """Write maps/mask.nii.gz and maps/maps.tsv: scan, file, and the columns of participants.tsv.

    Raises
    ------
    InputError : participants.tsv lacks a subject
    """
    import pandas as pd

    mask = results.space.mask(results.mm)
    write_volume(results.maps / "mask.nii.gz", mask.data.astype(np.uint8), mask.affine)
    files = [os.path.relpath(results.log_jacobian(key), results.maps) for key in keys]
    rows = pd.DataFrame({"scan": keys, "participant_id": map(subject_of, keys), "file": files})
    if participants is not None:
        rows = _joined(rows, participants)
    write_tsv(results.maps / "maps.tsv", rows)


def _joined(rows: pd.DataFrame, participants: Path) -> pd.DataFrame:
    table = read_tsv(participants, required=("participant_id",))
    table = table.assign(participant_id=table["participant_id"].astype(str))
    absent = sorted(set(rows["participant_id"]) - set(table["participant_id"]))
    if absent:
        problem = f"lacks {len(absent)} subjects, such as {absent[0]}"
        raise InputError(participants, problem, "add their rows")
    return rows.merge(table, on="participant_id", how="left", validate="many_to_one")
