"""Verb `shoot`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pmrpipe.base.errors import InputError
from pmrpipe.cli.arguments import add, path_argument, read, said_path
from pmrpipe.cli.messages import say
from pmrpipe.study.options.shooting import Shot


def add_shoot(parser: ArgumentParser) -> None:
    parser.add_argument(
        "result",
        nargs="?",
        type=said_path,
        metavar="RESULT",
        help="folder that `register` wrote, or a file *_desc-initial_momentum.safetensors",
    )
    path_argument(parser, "--output", required=True, help="folder for what is written")
    add(parser, Shot)


def run_shoot(options: Namespace) -> None:
    from pmrpipe.stages.register.shoot import shoot

    checked = read(options, Shot)
    if (options.result is None) != bool(checked.mean):
        problem = "goes alone" if checked.mean else "is missing"
        raise InputError("RESULT", problem, "name one result, or several after --mean")
    results = [] if options.result is None else [options.result]
    facts = shoot(results, options.output, checked)
    say(f"distance {facts['distance']:.4g}, lowest Jacobian {facts['lowest_jacobian']:.3g}")
    say(f"written to {options.output}")
