"""Where networks run: the one place that asks whether there is a GPU, and tells of its memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from pmrpipe.base.errors import InputError, WorkError

# torch says so on a GPU and on the CPU, with or without a unit.
_ASKED = re.compile(r"tried to allocate ([\d.]+) (\w+)", re.IGNORECASE)


def chosen_device(name: str) -> str:
    """`cpu` or `cuda`; `auto` is `cuda` where a GPU is visible.

    Raises
    ------
    InputError : `cuda` is asked for, and no GPU is visible
    """
    import torch

    if name == "cpu":
        return name
    if torch.cuda.is_available():
        return "cuda"
    if name == "cuda":
        raise InputError("device", "cuda is asked for, and no GPU is visible", "use cpu or auto")
    return "cpu"


@contextmanager
def memory_told(subject: object, remedy: str) -> Iterator[None]:
    """Memory that torch does not get ends in one line: how much was asked for, what needs less.

    Raises
    ------
    WorkError : memory ran out inside
    """
    try:
        yield
    except RuntimeError as error:
        asked = _ASKED.search(str(error))
        if asked is None and "out of memory" not in str(error).lower():
            raise
        problem = "ran out of memory" + (f", asking for {_size(*asked.groups())}" if asked else "")
        raise WorkError(subject, problem, remedy) from None


def _size(number: str, unit: str) -> str:
    """Bytes as GB; other units as torch says them."""
    return f"{float(number) / 1e9:.1f} GB" if unit == "bytes" else f"{number} {unit}"
