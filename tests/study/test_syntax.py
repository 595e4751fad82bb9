"""A configuration's text: what YAML takes without a word, and what it does not take."""

from __future__ import annotations

from pathlib import Path

import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.study.config import load
from pmrpipe.study.config.syntax import require_sound


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("grid_mm: 8\nseed: 2\ngrid_mm: 4\n", "says `grid_mm` again in line 3; keep one"),
        ("threads:\n  affine: 1\n  affine: 2\n", "says `affine` again in line 3"),
        ("b: [{a: 1, a: 1}]\n", "says `a` again in line 1"),
        ("- affine\n", "holds no keys"),
        ("", "holds no keys"),
        ("a study\n", "holds no keys"),
        ("seed: 2\n\tgrid_mm: 4\n", "is no YAML: line 2: found character"),
        ("methods: [affine\n", "is no YAML: line 2"),
        ("cohort: a\n  reader: b\n", "is no YAML: line 2: mapping values"),
        ("seed: !!python/object/apply:os.getpid []\n", "is no YAML: line 1: could not determine"),
        ("? [a]\n: 3\n", "is no YAML: line 1: found unhashable key"),
        ("a: 1\nb: *x\n", "is no YAML: line 2: found undefined alias"),
        ("exclude: {sub-01: 2026-02-31}\n", "holds a value that is none: day is out of range"),
        ("a: &x {b: *x}\n", "holds a value inside itself; write it out"),
        ('{"seed": 2, "b": {"a": 1, "a": 1}}', "says `a` again; keep one"),
        ('["affine"]', "holds no keys"),
    ],
)
def test_what_is_not_sound_is_named_with_its_line(tmp_path: Path, content: str, line: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(content, encoding="utf-8")
    for read in (require_sound, load):
        with pytest.raises(InputError, match=line) as refused:
            read(path)
        assert "\n" not in str(refused.value)


def test_the_same_key_of_two_sections_and_merged_ones_are_sound(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("a: &x {mm: 1}\nb:\n  <<: *x\n  <<: *x\n  mm: 2\n", encoding="utf-8")
    require_sound(path)


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    lines = {"none.yaml": "none.yaml: no such file", "folder.yaml": "folder.yaml: is a folder"}
    for name, line in lines.items():
        with pytest.raises(InputError, match=line):
            require_sound(tmp_path / name)


def test_json_is_sound_whatever_the_name_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text('{\n\t"seed": 2,\n\t"a": {"seed": 3}\n}\n', encoding="utf-8")
    require_sound(path)
