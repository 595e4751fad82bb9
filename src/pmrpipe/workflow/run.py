"""The workflow that comes with the package, run without a clone."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from pmrpipe.base.errors import InputError
from pmrpipe.study.config.syntax import require_sound

_PACKAGE = Path(__file__).resolve().parents[1]
_CONFIGFILE = ("--configfile", "--configfiles")
_SUFFIXES = (".yaml", ".yml", ".json")


def workflow_folder() -> Path:
    """The folder of the Snakefile: inside an installed package, or the clone's root.

    Raises
    ------
    InputError : there is none
    """
    for folder in (_PACKAGE / "data" / "workflow", _PACKAGE.parents[1]):
        if (folder / "Snakefile").is_file():
            return folder
    raise InputError(_PACKAGE, "holds no workflow", "install pmrpipe from its wheel or a clone")


def snakemake_command(words: Sequence[str]) -> list[str]:
    """Snakemake on that workflow with the user's words; InputError for a missing configuration."""
    folder = workflow_folder()
    known = _with_configurations(words, folder)
    return [sys.executable, "-m", "snakemake", "--snakefile", str(folder / "Snakefile"), *known]


def run_snakemake(words: Sequence[str]) -> NoReturn:
    """Become Snakemake in the working folder: signals and the exit code are its own."""
    command = snakemake_command(words)
    sys.stdout.flush()
    os.execv(command[0], command)


def _with_configurations(words: Sequence[str], folder: Path) -> list[str]:
    """The words, with `config/NAME.yaml` of the package where the working folder has none."""
    checked, follows = [], False
    for word in words:
        if word.startswith("-"):
            option, equals, value = word.partition("=")
            follows = option in _CONFIGFILE and not equals
            if option in _CONFIGFILE and equals:
                word = f"{option}={_configuration(value, folder)}"
        elif follows:
            word = _configuration(word, folder)
        checked.append(word)
    return checked


def _configuration(name: str, folder: Path) -> str:
    path = Path(name)
    if path.suffix in _SUFFIXES:
        shipped = folder / path
        if path.exists() or path.is_absolute() or not shipped.exists():
            require_sound(path)  # Snakemake would not name the file, or end in a traceback
            return name
        return str(shipped)
    remedy = f"a target stands before it: pmrpipe run {name} --configfile FILE"
    raise InputError(name, "is read as a configuration, since it follows --configfile", remedy)
