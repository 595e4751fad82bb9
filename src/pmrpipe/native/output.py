"""The folder that a two-scan result goes to: what may be replaced there, and writing it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_json
from pmrpipe.base.outputs import is_one_of
from pmrpipe.base.threads import each
from pmrpipe.native.page import write_pair_page
from pmrpipe.native.result import CAPTIONS, FACTS, MARKER, NAMES, PAGE, NativeRegistration


def require_replaceable(folder: Path, inputs: Sequence[Path]) -> None:
    """Nothing that would be written takes the place of an input, or of a file of others.

    Raises
    ------
    InputError : a file of the result's names is an input (also by a link), or lies in a folder
        whose register.json was not written by pmrpipe
    """
    there = [folder / name for name in NAMES if os.path.lexists(folder / name)]
    for path in there:
        if is_one_of(path, inputs):
            problem = "is an input, and the result would take its place"
            raise InputError(path, problem, "choose another --output, or say --overwrite")
    if there and not _is_own(folder):
        problem = "was not written by pmrpipe register, and the result would take its place"
        raise InputError(there[0], problem, "choose another --output, or say --overwrite")


def _is_own(folder: Path) -> bool:
    """Whether an earlier run wrote the result there, or was killed while it did."""
    if (folder / MARKER).exists():
        return True
    try:
        facts = read_json(folder / FACTS)
    except InputError:
        return False
    if not isinstance(facts, dict):
        return False
    generator = facts.get("GeneratedBy")
    if isinstance(generator, dict):
        return generator.get("Name") == "pmrpipe"
    # Of a version that did not yet write its name.
    return {"moving", "fixed", "method", "ncc_affine", "folding_percent"} <= set(facts)


def write_result(result: NativeRegistration, out: Path) -> None:
    """Write all files and the page to `out`, in place of what an older registration left there."""
    with _alone(out):
        (out / MARKER).touch()
        for name in (PAGE, *CAPTIONS):
            (out / name).unlink(missing_ok=True)
        captions = {name: CAPTIONS[name] for name in result.names}
        works: list[Callable[[], object]] = [
            partial(result.write, out),
            partial(write_pair_page, out / PAGE, result, captions),
        ]
        each(lambda work: work(), works)
        (out / MARKER).unlink(missing_ok=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Of several runs that write to `folder` at once, one after the other."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # file systems without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
