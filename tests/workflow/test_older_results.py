"""Results of an older version: its digests differ, and `--touch` takes them as they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .conftest import Workflow, digests

TINY = ("--configfile", "config/tiny.yaml")


@pytest.mark.slow
def test_results_of_an_older_version_are_kept_by_touch(tiny: Workflow, tmp_path: Path) -> None:
    clone = Workflow(Path(shutil.copytree(tiny.folder, tmp_path / "clone")))
    results = clone.folder / "results" / "tiny"
    before = digests(results)
    # What every job imports.
    with open(clone.folder / "src" / "pmrpipe" / "base" / "errors.py", "a") as file:
        file.write("\nNEWER = True\n")
    assert {"simulate", "brain", "train_method", "report_page"} <= clone.planned(*TINY)
    clone.run("--touch", *TINY)
    assert "Nothing to be done" in clone.run(*TINY)
    assert digests(results) == before
