"""What stands before a job's shell line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pmrpipe.workflow import jobs

WHERE = "python -c 'import pmrpipe, sys; print(sys.executable, pmrpipe.__file__, sep=chr(10))'"


def ran(conda: bool, folder: Path, **variables: str) -> list[str]:
    """Executable and package of a job, which starts as Snakemake starts it."""
    line = jobs.job_prefix(conda).format() + WHERE
    environment = {"PATH": f"{folder}:/usr/bin:/bin", **variables}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        env=environment,
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose `python` says that it is another one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "python").write_text(f'#!/bin/sh\necho another\nexec {sys.executable} "$@"\n')
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def test_python_is_the_one_that_runs_snakemake(elsewhere: Path) -> None:
    python, package = ran(False, elsewhere)
    assert python == sys.executable
    assert Path(package).parent == jobs._PACKAGE


def test_with_conda_python_is_that_of_the_environment(elsewhere: Path) -> None:
    said, _, package = ran(True, elsewhere)
    assert said == "another"
    assert Path(package).parent == jobs._PACKAGE


def test_another_environment_sees_of_a_wheel_the_package_alone(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_installed", lambda: True)
    for _ in range(2):  # The link of an earlier run is taken.
        _, _, package = ran(True, elsewhere)
    folder = elsewhere / ".snakemake" / "pmrpipe"
    assert Path(package).is_relative_to(folder)
    assert [path.name for path in folder.iterdir()] == ["pmrpipe"]


def test_modules_of_the_callers_pythonpath_stay_in_reach(elsewhere: Path) -> None:
    (elsewhere / "mine").mkdir()
    (elsewhere / "mine" / "sitecustomize.py").write_text("print('mine')\n")
    said, *_ = ran(False, elsewhere, PYTHONPATH=str(elsewhere / "mine"))
    assert said == "mine"
