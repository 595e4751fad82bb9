"""docs/how-to/reader.md, followed: a copy of the package with its code reads a dataset."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pmrpipe.base.files import read_tsv

from .clone import cloned
from .pages import DOCS


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with the reader of the page."""
    return cloned(DOCS / "how-to" / "reader.md", tmp_path_factory.mktemp("clone"))


def _python(clone: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(clone / "src")}
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=clone, env=environment, capture_output=True, text=True
    )


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    rows = ["subject,t1w", "b,images/second.nii.gz", "a,images/first.nii.gz"]
    (tmp_path / "images").mkdir()
    for name in ("first", "second"):
        (tmp_path / "images" / f"{name}.nii.gz").touch()
    (tmp_path / "scans.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    study = f"cohort: mine\nreader: listed\nroot: {tmp_path}\nresults: {tmp_path / 'results'}\n"
    (tmp_path / "mine.yaml").write_text(study, encoding="utf-8")
    return tmp_path


def test_the_reader_of_the_page_lists_a_dataset(clone: Path, dataset: Path) -> None:
    done = _python(clone, "pmrpipe", "cohort", str(dataset / "mine.yaml"))
    assert done.returncode == 0, done.stderr
    table = read_tsv(dataset / "results" / "mine" / "cohort.tsv")
    assert list(table["key"]) == ["sub-a", "sub-b"]
    assert list(table["t1w"]) == ["first.nii.gz", "second.nii.gz"]
    assert set(table["brain"]) == {"deepbet"}


def test_it_names_the_file_that_is_missing_in_one_line(clone: Path, dataset: Path) -> None:
    (dataset / "images" / "first.nii.gz").unlink()
    done = _python(clone, "pmrpipe", "cohort", str(dataset / "mine.yaml"))
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "first.nii.gz" in done.stderr
    assert "correct the row of sub-a in scans.csv" in done.stderr


def test_the_manual_then_names_it(clone: Path) -> None:
    done = _python(clone, "pmrpipe.study.manual")
    assert done.returncode == 0, done.stderr
    assert "'listed'" in (clone / "config" / "README.md").read_text(encoding="utf-8")
