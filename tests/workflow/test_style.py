"""Format, lint and architecture."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import REPO

BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "src", "tests"],
        ["ruff", "format", "--check", "src", "tests"],
        ["snakefmt", "--check", "Snakefile", "rules", "workflow"],
        ["lint-imports"],
        ["mypy"],
        ["snakemake", "--lint"],
        ["python", "-m", "pip", "check"],
    ],
    ids=["ruff", "ruff-format", "snakefmt", "import-linter", "mypy", "snakemake-lint", "pip-check"],
)
def test_tools_find_nothing(command: list[str]) -> None:
    done = subprocess.run(
        [BIN / command[0], *command[1:]], cwd=REPO, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_and_packages_bear_the_names_of_the_stages() -> None:
    stages = ("cohort", "preprocess", "train", "register", "score", "report")
    for stage in stages:
        assert (REPO / "rules" / f"{stage}.smk").exists()
        assert (REPO / "src" / "pmrpipe" / "stages" / stage).is_dir()


def test_the_environment_of_the_rules_has_the_pinned_versions() -> None:
    import yaml

    pinned = {
        line.split("==")[0].lower(): line.split("==")[1]
        for line in (REPO / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    listed = yaml.safe_load((REPO / "envs" / "pmrpipe.yaml").read_text())["dependencies"][-1]["pip"]
    for item in listed:
        name, version = item.split("==")
        assert pinned[name.lower()] == version, name
