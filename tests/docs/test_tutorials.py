"""The tutorials, followed word by word."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from ..workflow.conftest import Workflow
from .pages import DOCS, blocks, prose

FIRST, TWO, CLUSTER = (
    DOCS / "tutorials" / f"{name}.md" for name in ("first-study", "two-scans", "cluster")
)


def _bash(text: str, folder: Path, **more: str) -> str:
    """What a block of commands prints, as in an activated environment; it must end well."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-e", "-c", text],
        cwd=folder,
        env={**os.environ, "PATH": path, **more},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def _promised(page: Path) -> list[str]:
    """The files in the first column of a tutorial's table."""
    return re.findall(r"^\| `([\w./-]+)` \|", prose(page), re.M)


@pytest.fixture
def study(tiny: Workflow, tmp_path: Path) -> Path:
    """A copy of the finished small study, with the dates of its files."""
    return shutil.copytree(tiny.folder, tmp_path / "study", symlinks=True)


@pytest.fixture(scope="module")
def steps() -> dict[str, str]:
    return {block.title: block.text.strip() for block in blocks(FIRST) if block.title}


def test_the_first_study_makes_every_file_that_its_page_promises(
    tiny: Workflow, steps: dict[str, str]
) -> None:
    assert steps["run"] == "snakemake --cores 2 --configfile config/tiny.yaml"
    promised = _promised(FIRST)
    assert len(promised) == 8
    assert [name for name in promised if not (tiny.folder / name).exists()] == []


@pytest.mark.slow
def test_the_first_study_shows_the_plan_and_the_table_that_its_page_describes(
    study: Path, steps: dict[str, str]
) -> None:
    table = _bash(steps["table"], study).splitlines()
    assert [line.split()[0] for line in table] == ["method", "affine", "syn", "pmr", "pmr-cc"]
    assert "Nothing to be done" in _bash(steps["again"], study)
    again = _bash(steps["delete"], study)
    assert set(re.findall(r"^(?:local)?rule (\w+):", again, re.M)) == {"report_page", "all"}
    shutil.rmtree(study / "results")
    plan = _bash(steps["plan"], study)
    assert re.search(r"^brain +4$", plan, re.M)


def test_every_command_of_the_cluster_page_can_be_planned(study: Path) -> None:
    pytest.importorskip("snakemake_executor_plugin_slurm")
    texts = [block.text.strip() for block in blocks(CLUSTER)]
    commands = [text for text in texts if text.startswith("snakemake")]
    assert len(commands) == 3
    for command in commands:
        assert "Nothing to be done" in _bash(f"{command} --dry-run", study)


def test_the_heads_of_the_second_tutorial_are_simulated_as_the_page_says(tmp_path: Path) -> None:
    _bash(blocks(TWO)[0].text, tmp_path)
    assert len(list((tmp_path / "data" / "two").glob("sub-*/anat/*_T1w.nii.gz"))) == 2


@pytest.mark.slow
def test_two_scans_are_registered_as_the_page_says(tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    for block in blocks(TWO):
        printed = _bash(block.text, tmp_path, PMRPIPE_CACHE=cache)
    promised = _promised(TWO)
    assert len(promised) == 7
    assert [name for name in promised if not (tmp_path / name).exists()] == []
    assert (tmp_path / "out" / "mask.nii.gz").exists()
    before, after = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("landmarks", "moved"))
    assert list(after["name"]) == list(before["name"])
    assert (after[["x", "y", "z"]] != before[["x", "y", "z"]]).all(axis=None)
    assert "middle" in printed
