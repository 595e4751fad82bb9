"""Verb `register`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from pmrpipe.base.errors import InputError, WorkError
from pmrpipe.base.files import atomic
from pmrpipe.base.outputs import require_folder
from pmrpipe.cli.arguments import path_argument
from pmrpipe.cli.messages import say
from pmrpipe.cli.native_work import add_work, read_work
from pmrpipe.study.options.two_scans import TwoScans


def add_register(parser: ArgumentParser) -> None:
    path_argument(parser, "moving", help="scan that is moved")
    path_argument(parser, "fixed", help="scan that it is brought to")
    path_argument(parser, "--output", required=True, help="folder for the results")
    add_work(parser)


def run_register(options: Namespace) -> None:
    facts = _registered(options, read_work(options))
    name, word = "ncc", "NCC"
    if "correlation_ratio" in facts:
        name, word = "correlation_ratio", "correlation ratio"
    say(f"{word} {facts[f'{name}_affine']:.3f} by the affine, {facts[name]:.3f} registered")
    say(f"look at {options.output / 'qc.html'}")


def _registered(options: Namespace, checked: TwoScans) -> dict:
    """What register.json says; errors name flags, where Python names keywords."""
    from pmrpipe.native.registration import register

    try:
        _require_writable(options.output)
        result = register(options.moving, options.fixed, options.output, say=say, **dict(checked))
    except InputError as error:
        if error.subject not in TwoScans.model_fields:
            raise
        flag = "--" + error.subject.replace("_", "-")
        raise InputError(flag, error.problem, error.remedy) from None
    return result.facts


def _require_writable(folder: Path) -> None:
    """Before minutes of work: a file can be written there."""
    require_folder(folder)
    with atomic(folder / ".pmrpipe") as temporary:
        temporary.touch()
    try:
        (folder / ".pmrpipe").unlink(missing_ok=True)  # another run may have been faster
    except OSError as error:
        raise WorkError(folder, f"cannot be written ({error.strerror})") from None
