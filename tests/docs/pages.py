"""The documentation as data: its pages, code blocks and links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
DOCS = REPO / "docs"
_BLOCK = re.compile(r"^```(\S*)[ ]?(.*?)\n(.*?)^```$", re.M | re.S)


def pages() -> list[Path]:
    """Every page of the documentation, in the order of their names."""
    others = [REPO / name for name in ("README.md", "CONTRIBUTING.md")]
    others += [REPO / "benchmarks" / "README.md", REPO / "config" / "README.md"]
    return sorted(others + list(DOCS.rglob("*.md")))


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, what stands behind the language, and its text."""

    language: str
    title: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, from above."""
    return [Block(*match) for match in _BLOCK.findall(page.read_text(encoding="utf-8"))]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))


def slug(heading: str) -> str:
    """The anchor of a heading, as forges and Markdown readers make it."""
    text = re.sub(r"[^\w\- ]", "", heading.replace("`", "").strip().lower())
    return text.replace(" ", "-")
