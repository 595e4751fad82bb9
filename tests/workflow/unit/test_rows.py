"""The rows of a study's tables: each name stands for one training."""

from __future__ import annotations

from pathlib import Path

import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.methods.spec import spec_path
from pmrpipe.study.config import parse
from pmrpipe.workflow.rows import rows


def test_a_copied_method_that_kept_its_name_takes_no_other_s_place(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(spec_path("pmr").read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(InputError, match=r"mine\.yaml: has the name pmr, and so has pmr; change"):
        rows(parse({"root": "x", "methods": ["pmr", str(mine)]}))
    assert list(rows(parse({"root": "x", "methods": ["affine", str(mine)]}))) == ["affine", "pmr"]
    assert list(rows(parse({"root": "x", "methods": ["pmr", "pmr"]}))) == ["pmr"]


def test_the_study_s_own_seed_is_no_further_one() -> None:
    keys = {"root": "x", "methods": ["pmr"], "seed": 7}
    with pytest.raises(InputError, match="seeds: 7 is the study's own seed, with which pmr"):
        rows(parse({**keys, "seeds": {"pmr": [3, 7]}}))
    assert list(rows(parse({**keys, "seeds": {"pmr": [3, 8]}}))) == [
        *("pmr", "pmr_seed-3", "pmr_seed-8")
    ]
