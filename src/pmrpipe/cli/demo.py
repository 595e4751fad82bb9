"""Verb `check-demo`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pmrpipe.cli.messages import say


def add_check_demo(parser: ArgumentParser) -> None:
    parser.add_argument("study", help="configuration of the run: a YAML file, or JSON text")


def run_check_demo(arguments: Namespace) -> None:
    from pmrpipe.stages.score.demo import judge
    from pmrpipe.study.config import load

    for line in judge(load(arguments.study)):
        say(line)
