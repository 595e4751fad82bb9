"""participants.tsv of a dataset: who took part, and what is known of them."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import TYPE_CHECKING

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_tsv

if TYPE_CHECKING:
    import pandas as pd


def read_participants(path: str | os.PathLike[str], required: tuple[str, ...] = ()) -> pd.DataFrame:
    """The table, each participant_id with `sub-` in front, as the folders have it.

    Raises
    ------
    InputError : no such file, no table, or no column participant_id or one of `required`
    """
    table = read_tsv(path, required=("participant_id", *required))
    names = table["participant_id"].fillna("").astype(str).str.strip()
    return table.assign(participant_id="sub-" + names.str.removeprefix("sub-"))


def read_covariates(path: str | os.PathLike[str], subjects: Collection[str]) -> pd.DataFrame:
    """One row of each subject.

    Raises
    ------
    InputError : as `read_participants`; a subject without a row, or with rows that differ
    """
    table = read_participants(path).drop_duplicates()
    absent = sorted(set(subjects) - set(table["participant_id"]))
    if absent:
        problem = f"lacks {len(absent)} subjects, such as {absent[0]}"
        raise InputError(path, problem, "add their rows")
    table = table[table["participant_id"].isin(subjects)]
    again = table["participant_id"][table["participant_id"].duplicated()]
    if len(again):
        raise InputError(path, f"has rows of {again.iloc[0]} that differ", "keep one of them")
    return table
