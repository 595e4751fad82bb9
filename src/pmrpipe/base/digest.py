"""Digest of the sources that a rule runs, so that a code fix reruns what it touches.

Snakemake notices a changed shell line but not a changed module. A rule therefore carries, as a
parameter, the digest of its modules' import closure. Comments, docstrings, formatting and the
descriptions of options do not count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from pmrpipe.base.parsed import keep
from pmrpipe.base.sources import Sources


def digest(
    *modules: str,
    without: Iterable[str] = (),
    files: Iterable[Path] = (),
    folders: Iterable[Path] = (),
) -> str:
    """Twelve hexadecimal digits for modules with all that they import, and for files.

    Parameters
    ----------
    modules : by their full names; those of pmrpipe, or of one's own
    without : modules that they import but do not run here
    files : further files, whose text counts
    folders : where modules of one's own lie; what these import there counts with its source, and
        what they import of installed packages with its version

    Raises
    ------
    InputError : a module that is nowhere, or no Python
    """
    sources = Sources.of(modules, folders)
    names = sources.closure(modules, without)
    parts = [f"{name} {sources.parsed(name).checksum}" for name in sorted(names)]
    parts += sources.installed({*modules, *names})
    parts += [path.read_text(encoding="utf-8") for path in files]
    keep()
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def closure(*modules: str, without: Iterable[str] = ()) -> frozenset[str]:
    """Names of all pmrpipe modules that `modules` import, themselves included."""
    return Sources().closure(modules, without)
