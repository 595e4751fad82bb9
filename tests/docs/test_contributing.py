"""The checks that a contributor and the forge run are those of the project, and need no network."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import yaml

from .pages import REPO

HOOKS = REPO / ".pre-commit-config.yaml"
WORKFLOW = REPO / ".github" / "workflows" / "ci.yml"


def test_the_hooks_before_a_commit_are_tools_of_the_environment() -> None:
    repositories = yaml.safe_load(HOOKS.read_text(encoding="utf-8"))["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    hooks = repositories[0]["hooks"]
    assert {hook["language"] for hook in hooks} == {"system"}
    tools = {hook["entry"].split()[0] for hook in hooks}
    assert tools == {"ruff", "snakefmt", "lint-imports"}
    folder = str(Path(sys.executable).parent)
    assert {tool for tool in tools if shutil.which(tool, path=folder) is None} == set()


def test_the_forge_runs_the_projects_own_script() -> None:
    steps = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]["tests"]["steps"]
    scripts = [step["run"] for step in steps if "run" in step]
    assert scripts == [".ci/run"]
    assert os.access(REPO / ".ci" / "run", os.X_OK)
