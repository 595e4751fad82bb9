"""With which Python, and which sources, the jobs of the workflow run."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_LINKS = Path(".snakemake") / "pmrpipe"


def job_prefix(conda: bool) -> str:
    """What stands before every job's shell line, braces doubled as Snakemake asks.

    `python` is the one that runs Snakemake, whether its environment is activated or not; with
    `conda` it is that of the rule's environment, which finds the package through PYTHONPATH.
    """
    lines = []
    if conda or not _installed():
        # Modules of one's own that the caller's PYTHONPATH names stay in reach.
        folder = shlex.quote(str(_sources(conda)))
        lines.append(f'export PYTHONPATH={folder}"${{PYTHONPATH:+:$PYTHONPATH}}"; ')
    if not conda:
        lines.append(f'python() {{ {shlex.quote(sys.executable)} "$@"; }}; ')
    return "".join(lines).replace("{", "{{").replace("}", "}}")


def _sources(conda: bool) -> Path:
    """A folder that holds the package."""
    if not conda or not _installed():
        return _PACKAGE.parent
    # The package alone: another environment must not see what else is installed in this one.
    folder = _LINKS.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / _PACKAGE.name
    if not link.is_symlink() or Path(os.readlink(link)) != _PACKAGE:
        temporary = folder / f"{link.name}-{os.getpid()}"
        temporary.symlink_to(_PACKAGE)
        temporary.replace(link)
    return folder


def _installed() -> bool:
    """Whether the package lies among others, in site-packages."""
    return any(_PACKAGE.parent.glob("*.dist-info"))
