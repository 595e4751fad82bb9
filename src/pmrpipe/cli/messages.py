"""How the commands speak: a progress bar on a terminal, plain lines in a log."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")


def say(text: str) -> None:
    """One line to standard error, at once."""
    print(text, file=sys.stderr, flush=True)


def follow(items: Iterable[Item], total: int, what: Callable[[Item], str]) -> Iterator[Item]:
    """Yield the items with progress: a bar on a terminal, else a line for each."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, total=total)
        return
    for number, item in enumerate(items, 1):
        say(f"{number}/{total} {what(item)}")
        yield item


def path_argument(parser: argparse.ArgumentParser, *names: str, help: str, **more: object) -> None:
    """Add an argument that is a path."""
    parser.add_argument(*names, type=Path, help=help, **more)  # type: ignore[arg-type]
