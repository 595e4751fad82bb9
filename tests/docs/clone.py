"""A copy of the package with the code of a how-to page in it."""

from __future__ import annotations

import shutil
from pathlib import Path

from .pages import REPO, blocks


def cloned(page: Path, folder: Path) -> Path:
    """Copy src/ and config/ to `folder`; write the page's python files there, apply its diffs."""
    shutil.copytree(REPO / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(REPO / "config", folder / "config")
    for block in blocks(page):
        if block.language == "python":
            (folder / block.title).write_text(block.text, encoding="utf-8")
        if block.language == "diff":
            _patch(folder / block.title, block.text)
    return folder


def _patch(path: Path, diff: str) -> None:
    lines = diff.splitlines()
    before = "\n".join(line[1:] for line in lines if line[0] == "-")
    after = "\n".join(line[1:] for line in lines if line[0] == "+")
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{path.name} has no longer the line {before}"
    path.write_text(text.replace(before, after), encoding="utf-8")
