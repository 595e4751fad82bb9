"""Locks: those of a killed run are removed, those of a living one stay."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pmrpipe.workflow.locks import clear_dead_locks

HOLDER = """
import sys, pathlib
from pmrpipe.workflow.locks import clear_dead_locks
print(clear_dead_locks(pathlib.Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / ".snakemake" / "locks" / "0.output.lock"
    path.parent.mkdir(parents=True)
    path.write_text("results/report/index.html\n")
    return path


def test_a_dead_lock_goes(lock: Path, tmp_path: Path) -> None:
    assert clear_dead_locks(tmp_path)
    assert not lock.exists()
    assert not clear_dead_locks(tmp_path)


def test_the_lock_of_a_living_run_stays_until_it_is_killed(lock: Path, tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == "True"
    lock.write_text("results/report/index.html\n")
    assert not clear_dead_locks(tmp_path)
    assert lock.exists()
    holder.kill()
    holder.communicate()
    # The lock that this process took above is shared, and would keep others out.
    other = subprocess.run(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout.strip() == "False"


def test_a_folder_without_snakemake_is_left_in_peace(tmp_path: Path) -> None:
    assert not clear_dead_locks(tmp_path)
    assert not clear_dead_locks(tmp_path / "missing")
