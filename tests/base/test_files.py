"""Whole files or none."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pmrpipe.base.errors import InputError, WorkError
from pmrpipe.base.files import (
    atomic,
    read_json,
    read_tsv,
    remove_unfinished,
    write_json,
    write_rows,
    write_tsv,
)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with atomic(path) as temporary:
            temporary.write_text("new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_temporary_name_keeps_the_suffixes(tmp_path: Path) -> None:
    with atomic(tmp_path / "x.nii.gz") as temporary:
        assert temporary.name.endswith(".nii.gz")
        assert temporary.parent == tmp_path


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WorkError, match="cannot be written"), atomic(tmp_path / "file" / "x"):
        pass


def test_tables_survive_a_round_trip(tmp_path: Path) -> None:
    table = pd.DataFrame({"moving": ["01", "02"], "dice": [0.5, np.nan], "n": [1, 2]})
    write_tsv(tmp_path / "t.tsv", table)
    assert "n/a" in (tmp_path / "t.tsv").read_text()
    pd.testing.assert_frame_equal(read_tsv(tmp_path / "t.tsv"), table)
    with pytest.raises(InputError, match="no column absent"):
        read_tsv(tmp_path / "t.tsv", required=("absent",))


def test_rows_longer_than_their_heading_move_no_column(tmp_path: Path) -> None:
    """Left to itself, pandas takes the first column of such a table for its index."""
    path = tmp_path / "t.tsv"
    path.write_text("moving\tfixed\n01\t02\t\n02\t03\t\n")
    assert read_tsv(path).to_dict("list") == {"moving": ["01", "02"], "fixed": ["02", "03"]}
    for rows in ("01\t02\t9\n", "01\t02\n02\t03\t9\n"):
        path.write_text(f"moving\tfixed\n{rows}")
        with pytest.raises(InputError, match=r"t\.tsv: is not a tab-separated table") as refused:
            read_tsv(path)
        assert "\n" not in str(refused.value)


def test_json_errors_name_the_file(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": [1]})
    assert read_json(tmp_path / "a.json") == {"a": [1]}
    (tmp_path / "b.json").write_text("{")
    with pytest.raises(InputError, match=r"b\.json"):
        read_json(tmp_path / "b.json")


def test_what_killed_processes_left_is_removed(tmp_path):
    old, new = tmp_path / "a" / ".tmp-1-x.tsv", tmp_path / ".tmp-2-y.tsv"
    old.parent.mkdir()
    for path in (old, new, tmp_path / "a" / "x.tsv"):
        path.write_text("half")
    os.utime(old, (1000, 1000))
    os.utime(tmp_path / "a" / "x.tsv", (1000, 1000))
    remove_unfinished(tmp_path, before=2000)
    assert not old.exists()
    assert new.exists()
    assert (tmp_path / "a" / "x.tsv").exists()


def test_rows_are_written_as_a_table_is(tmp_path):
    rows = [{"a": "x", "b": 'said "no"\tand left'}, {"a": "ü"}, {"a": 3, "b": None}]
    write_rows(tmp_path / "rows.tsv", ("a", "b"), rows)
    write_tsv(tmp_path / "table.tsv", pd.DataFrame(rows, columns=["a", "b"]))
    assert (tmp_path / "rows.tsv").read_bytes() == (tmp_path / "table.tsv").read_bytes()
