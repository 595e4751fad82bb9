"""participants.tsv as people write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.study.participants import read_covariates

SUBJECTS = ("sub-01", "sub-02")


def written(folder: Path, text: str) -> Path:
    (folder / "participants.tsv").write_bytes(text.encode())
    return folder / "participants.tsv"


@pytest.mark.parametrize(
    "text",
    [
        "participant_id\tage\nsub-02\t31\nsub-01\t25\n",
        "participant_id\tage\n02\t31\n01\t25\n",
        "\ufeffparticipant_id\tage\r\nsub-01 \t25\r\nsub-02\t31\r\n",
        "participant_id\tage\nsub-01\t25\nsub-01\t25\nsub-02\t31\nsub-03\t9\nsub-03\t8\n",
    ],
    ids=["in another order", "without sub-", "of Windows", "a row twice, and of others"],
)
def test_each_subject_has_its_own_row(tmp_path: Path, text: str) -> None:
    table = read_covariates(written(tmp_path, text), SUBJECTS).set_index("participant_id")
    assert table["age"].to_dict() == {"sub-01": 25, "sub-02": 31}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("participant_id\tage\nsub-01\t25\n", "lacks 1 subjects, such as sub-02; add their rows"),
        ("participant_id\tage\nsub-01\t25\nsub-02\t1\n02\t2\n", "has rows of sub-02 that differ"),
        ("subject\tage\nsub-01\t25\n", "has no column participant_id"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(InputError, match=line):
        read_covariates(written(tmp_path, text), SUBJECTS)
