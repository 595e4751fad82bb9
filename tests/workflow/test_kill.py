"""The chain killed at random moments: the same command then ends with the same tables."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import psutil
import pytest
from safetensors import safe_open

from pmrpipe.base.files import read_tsv

from .conftest import Workflow, digests

TINY = ("--configfile", "config/tiny.yaml")
# What is taken away before a trial, so that it begins in the middle: folders of results/tiny.
BEGINNINGS = {
    "data": ("",),
    "preprocess": ("sub-03", "train", "register", "score", "report"),
    "train": ("train", "register/pmr", "register/pmr-cc", "score", "report"),
    "one network": ("train/pmr", "register/pmr", "score/pmr", "report"),
    "register": ("register", "score", "report"),
}
# Those that random trials draw, and the seconds within which the kill comes.
LONGEST = {"data": 45, "preprocess": 30, "train": 20, "register": 20}
TRIALS = 30


def check_whole(root: Path) -> None:
    """Every file that bears its final name can be read to its end."""
    for path in root.rglob("*"):
        if path.is_dir() or path.name.startswith("."):
            continue
        readers: dict[str, Callable[[Path], object]] = {
            ".json": lambda p: json.loads(p.read_text()),
            ".tsv": read_tsv,
            ".gz": lambda p: gzip.decompress(p.read_bytes()),
            ".safetensors": lambda p: list(safe_open(p, "np").keys()),
            ".svg": ElementTree.parse,
        }
        assert path.stat().st_size > 0 or "logs" in path.parts, path
        # Snakemake writes its logs and timings itself.
        if "logs" not in path.parts and "timings" not in path.parts:
            readers.get(path.suffix, lambda p: p.read_bytes())(path)
        if path.suffix == ".html":
            assert path.read_text().rstrip().endswith("</html>"), path


def workers(pid: int, verb: str = "") -> list[int]:
    """Running verbs of pmrpipe that `pid` started."""
    pids = []
    for child in psutil.Process(pid).children(recursive=True):
        try:
            words = child.cmdline()
        except psutil.Error:
            continue
        if words[1:3] == ["-m", "pmrpipe"] and verb in ("", words[3]):
            pids.append(child.pid)
    return pids


def until(ask: Callable[[], list[int]], process: subprocess.Popen[bytes], most: float) -> int:
    """The first that is found before `process` ends; 0 if none."""
    end = time.monotonic() + most
    while process.poll() is None and time.monotonic() < end:
        with_it = ask()
        if with_it:
            return with_it[0]
        time.sleep(0.05)
    return 0


def start(workflow: Workflow) -> subprocess.Popen[bytes]:
    command, environment = workflow.command(*TINY)
    return subprocess.Popen(
        command,
        cwd=workflow.folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill_group(process: subprocess.Popen[bytes], _: random.Random) -> None:
    """The workflow with all its jobs, as when a node dies."""
    os.killpg(process.pid, signal.SIGKILL)


def kill_workflow(process: subprocess.Popen[bytes], _: random.Random) -> None:
    """Snakemake alone: its jobs go on without it."""
    process.kill()


def kill_worker(process: subprocess.Popen[bytes], chance: random.Random) -> None:
    """One verb, as when a job runs out of memory."""
    if until(lambda: workers(process.pid), process, 10):
        os.kill(chance.choice(workers(process.pid)), signal.SIGKILL)


def kill_training(process: subprocess.Popen[bytes], chance: random.Random) -> None:
    """A training, at a moment of its own."""
    if until(lambda: workers(process.pid, "train"), process, 200):
        time.sleep(chance.uniform(0, 8))
        running = workers(process.pid, "train")
        if running:
            os.kill(running[0], signal.SIGKILL)


KILLS = (kill_group, kill_workflow, kill_worker, kill_training)


def beginning(tiny: Workflow, folder: Path, name: str) -> Workflow:
    """A copy of a finished clone from which results are taken away."""
    shutil.copytree(tiny.folder, folder, symlinks=True)
    for part in BEGINNINGS[name]:
        shutil.rmtree(folder / "results" / "tiny" / part)
    if name == "data":
        shutil.rmtree(folder / "data")
        shutil.rmtree(folder / ".snakemake")
    return Workflow(folder)


def finish(workflow: Workflow, tiny: Workflow) -> None:
    """The same command ends well, with whole files and the tables of the undisturbed run."""
    root = workflow.folder / "results" / "tiny"
    if root.exists():
        check_whole(root)
    workflow.run(*TINY)
    check_whole(root)
    assert digests(root) == digests(tiny.folder / "results" / "tiny")
    assert not list(root.rglob(".tmp-*"))


@pytest.mark.parametrize(
    ("kill", "name"),
    [
        (kill_group, "one network"),
        pytest.param(kill_training, "train", marks=pytest.mark.slow),
    ],
)
def test_a_killed_run_goes_on(tiny: Workflow, tmp_path: Path, kill, name: str) -> None:
    workflow = beginning(tiny, tmp_path / "clone", name)
    process = start(workflow)
    assert until(lambda: workers(process.pid, "train"), process, 60)
    kill(process, random.Random(0))
    code = process.wait()
    assert code != 0
    finish(workflow, tiny)


@pytest.mark.slow
@pytest.mark.parametrize("trial", range(TRIALS * 5 // 6))
def test_killed_at_a_random_moment(tiny: Workflow, tmp_path: Path, trial: int) -> None:
    chance = random.Random(trial)
    name = chance.choice(sorted(LONGEST))
    workflow = beginning(tiny, tmp_path / "clone", name)
    process = start(workflow)
    kill = KILLS[trial % len(KILLS)]
    if kill is not kill_training:
        time.sleep(chance.uniform(2, LONGEST[name]))
    if process.poll() is None:
        kill(process, chance)
    process.wait()
    finish(workflow, tiny)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Callable[[], None]]:
    """A file system of limited size; what is yielded makes it large."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    done = subprocess.run(["mount", *options], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("only the superuser can mount a small file system")
    larger = ["mount", "-o", "remount,size=4g", str(folder)]
    try:
        yield lambda: subprocess.run(larger, check=True) and None
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("trial", range(TRIALS // 6))
def test_a_full_disk(tiny: Workflow, tmp_path: Path, trial: int) -> None:
    chance = random.Random(trial)
    name = sorted(LONGEST)[trial % len(LONGEST)]
    workflow = beginning(tiny, tmp_path / "clone", name)
    size = {f: used(f) for f in (workflow.folder, tiny.folder)}
    # At most nine tenths of what the run will write, so that the disk does become full.
    share = 0.9 * chance.random()
    room = size[workflow.folder] + share * (size[tiny.folder] - size[workflow.folder])
    with small_disk(tmp_path / "disk", int(room / 2**20) + 1) as enlarge:
        shutil.copytree(workflow.folder, tmp_path / "disk" / "clone")
        workflow = Workflow(tmp_path / "disk" / "clone")
        said = workflow.run(*TINY, check=False)
        assert "No space left" in said
        enlarge()
        finish(workflow, tiny)


def used(folder: Path) -> int:
    """Bytes of all files, in whole pages."""
    sizes = (path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return sum(-(-size // 4096) * 4096 for size in sizes)
