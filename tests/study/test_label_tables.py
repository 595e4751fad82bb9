"""Label tables as people have them are read, or refused in one line; none is written over."""

from __future__ import annotations

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.base.outputs import require_no_input
from pmrpipe.cli import main
from pmrpipe.study.labels import labels_of, read_label_table, scored_labels

HEAD = "index\tname\tregion\tscored\n"


def table(path: Path, text: str, encoding: str = "utf-8") -> str:
    path.write_text(text, encoding=encoding)
    return str(path)


@pytest.mark.parametrize("yes", ["1", "yes", "TRUE", "True", "1.0", "y"])
@pytest.mark.parametrize("no", ["0", "no", "False", "n"])
def test_yes_and_no_in_many_words(tmp_path, yes, no):
    name = table(tmp_path / "a.tsv", HEAD + f"1\tleft\tfrontal\t{yes}\n2\tright\tn/a\t{no}\n")
    assert scored_labels(name) == [1]
    assert read_label_table(name)["region"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    "text",
    [
        "index\tname\tabbreviation\tcolor\n7\tleft part\tL\t#ff0000\n9\tright\tR\t#00ff00\n",
        "name\tindex\nleft part\t7\nright\t9\n",
        HEAD + "0\tBackground\tn/a\tn/a\n7\tleft part\tn/a\t1\n9\tright\t\t1\n",
        HEAD + "7.0\tleft part\tn/a\t1\r\n9.0\tright\tn/a\t1\r\n\t\t\t\n",
        "#No. Label Name: R G B A\n0 Unknown 0 0 0 0\n7 left_part 7 13 18 0\n\n9 right 1 2 3 0\n",
        '# ITK-SNAP\n 0 0 0 0 0 0 0 "Clear Label"\n 7 255 0 0 1 1 1 "left part"\n'
        ' 9 0 255 0 0.5 1 1 "right"\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_what_other_programs_write(tmp_path, text, encoding):
    name = table(tmp_path / "a.txt", text, encoding)
    labels = [(la.index, la.name.replace("_", " "), la.region, la.scored) for la in labels_of(name)]
    assert labels == [(7, "left part", None, True), (9, "right", None, True)]
    assert list(read_label_table(name).columns) == ["index", "name", "region", "scored"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + "1\ta\tn/a\tn/a\n", r"line 2: column scored says 'n/a' for label 1; write 1"),
        (HEAD + "1\ta\tn/a\tmaybe\n", "column scored says 'maybe'"),
        (HEAD + "-1\ta\tn/a\t1\n", "whole numbers above 0, not '-1'"),
        (HEAD + "1.5\ta\tn/a\t1\n", "not '1.5'"),
        (HEAD + "left\ta\tn/a\t1\n", "not 'left'"),
        (HEAD + "n/a\ta\tn/a\t1\n", "not 'n/a'"),
        (HEAD, "lists no label"),
        (HEAD + "0\tBackground\tn/a\t0\n", "lists no label"),
        ("index,name,region,scored\n1,a,,1\n", "separated by commas"),
        ("", "has no column index"),
        ("1 left\n2 right\n", "has no column index"),
    ],
)
def test_what_cannot_be_understood_is_refused_in_one_line(tmp_path, text, words):
    name = table(tmp_path / "a.tsv", text)
    with pytest.raises(InputError, match=words) as caught:
        labels_of(name)
    assert "a.tsv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "a.tsv").write_bytes(b"\x1f\x8b\x08\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8 text"):
        labels_of(str(tmp_path / "a.tsv"))


# -- label-table -------------------------------------------------------------------------------
@pytest.fixture
def maps(tmp_path) -> list[Path]:
    paths = [tmp_path / "a_dseg.nii.gz", tmp_path / "b_dseg.nii.gz"]
    for number, path in enumerate(paths):
        data = np.zeros((4, 5, 6), np.int16)
        data[1:, 1], data[:, 3] = 7 + number, 12000
        nib.save(nib.Nifti1Image(data, np.eye(4)), path)
    return paths


def listing(*words: object) -> int:
    return main(["label-table", *map(str, words)])


def test_the_labels_of_maps_are_listed_and_listed_again(tmp_path, maps):
    out = tmp_path / "labels.tsv"
    assert listing(out, *maps) == 0
    assert scored_labels(str(out)) == [7, 8, 12000]
    assert out.read_text().splitlines()[1] == "7\tlabel 7\tn/a\t1"
    assert listing(out, maps[0]) == 0
    assert scored_labels(str(out)) == [7, 12000]


def test_a_forgotten_output_keeps_the_label_map(tmp_path, maps, capsys):
    before = maps[0].read_bytes()
    assert listing(*maps) == 2
    assert "a_dseg.nii.gz: is there already" in capsys.readouterr().err
    assert maps[0].read_bytes() == before
    for name, make in {"sym.tsv": os.symlink, "hard.tsv": os.link}.items():
        make(maps[0], tmp_path / name)
        assert listing(tmp_path / name, maps[0]) == 2
        assert listing(tmp_path / name, maps[0], "--overwrite") == 2
        assert "would take its place" in capsys.readouterr().err
    assert maps[0].read_bytes() == before


def test_names_that_a_person_gave_are_kept(tmp_path, maps, capsys):
    out = tmp_path / "labels.tsv"
    assert listing(out, *maps) == 0
    edited = out.read_text().replace("label 7", "Left amygdala")
    out.write_text(edited)
    assert listing(out, *maps) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert out.read_text() == edited
    assert listing(out, *maps, "--overwrite") == 0
    assert "Left amygdala" not in out.read_text()


def test_the_same_file_under_other_names(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    path = tmp_path / "a" / "x.nii"
    path.write_text("x")
    (tmp_path / "link.nii").symlink_to(path)
    os.link(path, tmp_path / "hard.nii")
    monkeypatch.chdir(tmp_path)
    for name in ("a/x.nii", "a/../a/x.nii", "link.nii", "hard.nii"):
        with pytest.raises(InputError, match="would take its place"):
            require_no_input(name, ["other", path])
    require_no_input("a/y.nii", [path])
    with pytest.raises(InputError, match="would take its place"):
        require_no_input("new.nii", ["./new.nii"])
