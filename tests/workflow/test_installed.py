"""The workflow from an installed wheel, without a clone and without an activated environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml

from pmrpipe.base.files import read_tsv

from .conftest import REPO, Workflow

# What a wheel is built of.
SOURCES = ("src", "rules", "envs", "profiles", "config", "workflow", "Snakefile", "setup.py",
           "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE")  # fmt: skip
# The least study: two simulated heads, affine alone.
QUICK = {
    "cohort": "quick", "reader": "embedded", "root": "data", "labels": "embedded",
    "embedded": {"subjects": 4, "mm": 6.0}, "grid_mm": 8, "preprocessing": "whole",
    "split": {"test": ["03", "04"]}, "methods": ["affine"], "device": "cpu",
}  # fmt: skip
BARE = {"HOME": "/nonexistent", "PATH": "/usr/bin:/bin", "MPLCONFIGDIR": "/tmp"}


def copy_sources(folder: Path) -> Path:
    folder.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in SOURCES:
        if (REPO / name).is_dir():
            shutil.copytree(REPO / name, folder / name, ignore=ignored)
        else:
            shutil.copy(REPO / name, folder)
    return folder


def called(*words: object, **more: object) -> str:
    command = [str(word) for word in words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=550, **more)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout + done.stderr


def pip(*words: object, python: str = sys.executable) -> str:
    quiet = ("--quiet", "--disable-pip-version-check", "--no-cache-dir")
    return called(sys.executable, "-m", "pip", "--python", python, *words, "--no-deps", *quiet)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("setuptools", "77", reason="builds a wheel")
    sources = copy_sources(tmp_path_factory.mktemp("wheel") / "sources")
    pip("wheel", "--no-build-isolation", "--wheel-dir", sources.parent, sources)
    (path,) = sources.parent.glob("pmrpipe-*.whl")
    return path


@pytest.fixture(scope="session")
def python(wheel: Path) -> Path:
    """An environment with pmrpipe from its wheel; its dependencies are those of the tests."""
    folder = wheel.parent / "environment"
    venv.create(folder, symlinks=True)
    binary = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text("\n".join(p for p in sys.path if "-packages" in p))
    pip("install", wheel, python=str(binary))
    return binary


def test_the_wheel_holds_the_workflow(wheel: Path) -> None:
    inside = {name for name in ZipFile(wheel).namelist() if "/data/workflow/" in name}
    there = {
        f"pmrpipe/data/workflow/{path.relative_to(REPO)}"
        for name in ("Snakefile", "rules", "envs", "profiles", "config", "workflow")
        for path in [REPO / name, *(REPO / name).rglob("*")]
        if path.is_file()
    }
    assert inside == there


@pytest.mark.slow
def test_a_source_distribution_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    sources = copy_sources(tmp_path / "sources")
    build = "import setuptools.build_meta as b; b.build_sdist('dist')"
    called(sys.executable, "-c", build, cwd=sources)
    (archive,) = sources.glob("dist/*.tar.gz")
    pip("wheel", "--no-build-isolation", "--wheel-dir", tmp_path, archive)
    (other,) = tmp_path.glob("pmrpipe-*.whl")
    assert sorted(ZipFile(other).namelist()) == sorted(ZipFile(wheel).namelist())


def test_a_job_runs_from_an_installed_wheel(python: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(QUICK))
    words = ("run", "data/dataset_description.json", "--cores", 1, "--configfile", "mine.yaml")
    text = called(python, "-m", "pmrpipe", *words, cwd=tmp_path, env=BARE)
    assert "profiles/default" in text
    assert (tmp_path / "data" / "dataset_description.json").exists()
    assert not (tmp_path / "src").exists()


@pytest.mark.slow
def test_the_tiny_study_runs_from_an_installed_wheel(python: Path, tmp_path: Path) -> None:
    words = ("run", "--cores", 2, "--configfile", "config/tiny.yaml")
    called(python, "-m", "pmrpipe", *words, cwd=tmp_path, env=BARE)
    results = tmp_path / "results" / "tiny"
    summary = read_tsv(results / "score" / "summary.tsv")
    assert set(summary["method"]) == {"affine", "syn", "pmr", "pmr-cc"}
    assert (results / "report" / "index.html").exists()
    assert "Nothing to be done" in called(python, "-m", "pmrpipe", *words, cwd=tmp_path, env=BARE)


@pytest.mark.slow
def test_a_bids_dataset_from_an_installed_wheel(
    python: Path, brain_dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "derivatives" / "pmrpipe"
    more = ("--brain-extracted", "--mm", 8, "--cores", 2, "--method", "affine")
    call = (python, "-m", "pmrpipe", "bids", brain_dataset, out)
    called(*call, "participant", "--participant-label", "01", *more, cwd=tmp_path, env=BARE)
    assert len(read_tsv(out / "score" / "affine" / "by_pair.tsv")) == 1
    text = called(*call, "group", *more, cwd=tmp_path, env=BARE)
    assert len(read_tsv(out / "score" / "affine" / "by_pair.tsv")) == 5
    assert not any("register_pairs" in line and "sub-01" in line for line in text.splitlines())
    assert (out / "report" / "index.html").exists()
    assert sorted(path.name for path in brain_dataset.iterdir()) == [
        f"sub-{number:02d}" for number in range(1, 6)
    ]


def test_jobs_run_with_the_python_that_runs_snakemake(workflow: Workflow, tmp_path: Path) -> None:
    # Without it in PATH, where `python` is another one or none.
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text("#!/bin/sh\necho the wrong python >&2; exit 1\n")
    (tmp_path / "bin" / "python").chmod(0o755)
    target = "data/tiny/dataset_description.json"
    words = ("--cores", "1", "--configfile", "config/tiny.yaml")
    environment = {**BARE, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{BARE['PATH']}"}
    snakemake = Path(sys.executable).with_name("snakemake")
    called(snakemake, target, *words, cwd=workflow.folder, env=environment)
    assert (workflow.folder / target).exists()
