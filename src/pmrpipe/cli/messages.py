"""How the commands speak: a progress bar on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")
_SHOWN = 5


def say(text: str) -> None:
    """One line to standard error, at once."""
    print(text, file=sys.stderr, flush=True)


def say_first(word: str, lines: Sequence[str]) -> None:
    """The first few lines, each behind a word, and how many there are beside them."""
    for line in lines[:_SHOWN]:
        say(f"{word}: {line}")
    if len(lines) > _SHOWN:
        say(f"{word}: {len(lines) - _SHOWN} more of the kind")


def follow(items: Iterable[Item], total: int, what: Callable[[Item], str]) -> Iterator[Item]:
    """Yield the items with progress: a bar on a terminal, else a line for each."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, total=total)
        return
    for number, item in enumerate(items, 1):
        say(f"{number}/{total} {what(item)}")
        yield item


def follow_pairs(pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The same for ordered pairs (moving, fixed)."""
    return follow(pairs, len(pairs), lambda pair: "{} to {}".format(*pair))
