"""Snakemake runs for real: in a folder of the test's own, on a copy of the workflow."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from filelock import FileLock

from pmrpipe.base.files import read_json, read_tsv, write_json

REPO = Path(__file__).resolve().parents[2]
PROBE = REPO / "tests" / "helpers" / "probe"


@dataclass(frozen=True)
class Workflow:
    """A copy of the workflow; `run` calls Snakemake in it."""

    folder: Path
    # The rules' `python` is the one that runs the tests.
    binaries: ClassVar[str] = str(Path(sys.executable).parent)

    def command(self, *words: str, cores: int = 2) -> tuple[list[str], dict[str, str]]:
        """Words and environment of a call; the last words may be config overrides."""
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores), *words]
        # Where no bytecode is kept, each job compiles its libraries: two thirds of its time.
        dropped = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
        environment = {k: v for k, v in os.environ.items() if k not in dropped}
        environment["PATH"] = os.pathsep.join([self.binaries, environment["PATH"]])
        return command, environment

    def run(self, *words: str, cores: int = 2, check: bool = True, **variables: str) -> str:
        """Everything that Snakemake printed; `variables` of its environment."""
        command, environment = self.command(*words, cores=cores)
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=1500,
        )
        text = done.stdout + done.stderr
        assert not check or done.returncode == 0, text[-4000:]
        return text

    def planned(self, *words: str) -> set[str]:
        """Names of the rules that would run."""
        text = self.run("--dry-run", *words)
        lines = (line.split() for line in text.splitlines())
        return {w[1].rstrip(":") for w in lines if len(w) > 1 and w[0] in ("rule", "localrule")}


def copy_workflow(folder: Path) -> Workflow:
    """Copy what a clone holds, without results."""
    for name in ("rules", "workflow", "src", "config", "profiles", "envs"):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(REPO / name, folder / name, ignore=ignored)
    shutil.copy(REPO / "Snakefile", folder)
    return Workflow(folder)


@pytest.fixture
def workflow(tmp_path: Path) -> Workflow:
    return copy_workflow(tmp_path / "clone")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workflow]:
    """The whole chain on tiny.yaml, run once for all tests and all workers.

    Other workers read its sources and data at any time: a test that changes them takes
    `own_tiny`.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "tiny"
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            _run_tiny(folder)
    yield Workflow(folder)
    assert _dates(folder) == read_json(folder / "dates.json"), "a test changed the shared study"


def _run_tiny(folder: Path) -> None:
    clone = copy_workflow(folder.with_name("tiny-unfinished"))
    (clone.folder / "probe").mkdir()
    clone.run("--configfile", "config/tiny.yaml", **probed(clone.folder / "probe"))
    write_json(clone.folder / "dates.json", _dates(clone.folder))
    clone.folder.rename(folder)


def _dates(folder: Path) -> dict[str, int]:
    """When each source and each file of the dataset was changed last, in nanoseconds."""
    files = (path for name in ("src", "data") for path in sorted((folder / name).rglob("*.*")))
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in files
        if path.is_file() and path.suffix != ".pyc"
    }


@pytest.fixture(scope="module")
def own_tiny(tiny: Workflow, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A copy of the finished study, with the dates of its files, for tests that change them."""
    folder = tmp_path_factory.mktemp("own") / "tiny"
    return Workflow(Path(shutil.copytree(tiny.folder, folder)))


def probed(folder: Path) -> dict[str, str]:
    """Variables with which every verb writes the modules that it has loaded into `folder`."""
    return {"PYTHONPATH": str(PROBE), "PMRPIPE_PROBE": str(folder)}


def digests(root: Path) -> dict[str, str]:
    """Checksums of every score table but the times."""
    checksums = {}
    for path in sorted(root.glob("score/**/*.tsv")):
        if path.name != "timing.tsv":
            table = read_tsv(path).drop(columns="seconds_median", errors="ignore")
            content = table.to_csv(sep="\t").encode()
            checksums[str(path.relative_to(root))] = hashlib.sha256(content).hexdigest()
    return checksums
