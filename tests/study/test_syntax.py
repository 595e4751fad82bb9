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
