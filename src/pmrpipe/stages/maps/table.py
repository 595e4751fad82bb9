"""The mask and the table of files and covariates that statistics begin with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pmrpipe.base.files import write_tsv
from pmrpipe.images.volume import write_volume
from pmrpipe.study.keys import subject_of
from pmrpipe.study.participants import read_covariates
from pmrpipe.study.paths import Results

if TYPE_CHECKING:
    import pandas as pd


def gather(results: Results, keys: Sequence[str], participants: Path | None) -> None:
    """Write maps/mask.nii.gz and maps/maps.tsv: scan, file, and the columns of participants.tsv.

    A column of participants.tsv that is named scan or file gets `_participants` at its end.

    Raises
    ------
    InputError : participants.tsv lacks a subject, or has rows of one that differ
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
    table = read_covariates(participants, set(rows["participant_id"]))
    return rows.merge(table, on="participant_id", how="left", suffixes=("", "_participants"))
