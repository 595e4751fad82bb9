"""`--use-conda`: the rules run inside the environment that envs/pmrpipe.yaml describes.

The conda here is a double: it keeps the file that it was given, and makes an environment whose
`python` is the one that runs the tests and writes down that it was called.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pmrpipe.study.paths import Results

from .conftest import REPO, Workflow

CONDA = """#!/bin/sh
case "$*" in
  "--version") echo "conda 25.1.0";;
  "info --json") echo '{{"conda_prefix": "{folder}", "platform": "linux-64"}}';;
  "config --get channel_priority --json") echo '{{"get": {{"channel_priority": "strict"}}}}';;
  "clean "*) ;;
  *"env create"*)
    for word; do
      case "$last" in
        --file|-f) cp "$word" {folder}/asked.yaml;;
        --prefix|-p) prefix="$word";;
      esac
      last="$word"
    done
    mkdir -p "$prefix/bin"
    cp {folder}/python "$prefix/bin";;
  *) echo "unexpected: conda $*" >&2; exit 1;;
esac
"""
PYTHON = """#!/bin/sh
echo "$@" >> {folder}/ran.txt
exec {python} "$@"
"""
ACTIVATE = 'PATH="$1/bin:$PATH"\n'


def conda_double(folder: Path) -> Path:
    """A folder with the double, for PATH; what it was asked and what it ran stand in `folder`."""
    binaries = folder / "bin"
    binaries.mkdir()
    for path, text in ((binaries / "conda", CONDA), (folder / "python", PYTHON)):
        path.write_text(text.format(folder=folder, python=sys.executable))
        path.chmod(0o755)
    (binaries / "activate").write_text(ACTIVATE)
    return binaries


def test_rules_run_in_the_environment(
    workflow: Workflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binaries = conda_double(tmp_path)
    monkeypatch.setattr(workflow.__class__, "binaries", str(binaries))
    target = Results(workflow.folder / "results" / "tiny", 4.0).template
    name = str(target.relative_to(workflow.folder))
    words = (name, "--use-conda", "--configfile", "config/tiny.yaml")
    workflow.run(*words)
    assert target.exists()
    assert (tmp_path / "asked.yaml").read_text() == (REPO / "envs" / "pmrpipe.yaml").read_text()
    assert "-m pmrpipe space" in (tmp_path / "ran.txt").read_text()
    assert "Nothing to be done" in workflow.run(*words)
