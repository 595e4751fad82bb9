"""Verbs `train` and `ship`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from pmrpipe.cli.arguments import add, path_argument, read
from pmrpipe.cli.messages import say


def add_train(parser: ArgumentParser) -> None:
    from pmrpipe.study.options.training import Training

    path_argument(parser, "arrays", help="packed arrays")
    path_argument(parser, "out", help="folder for weights.safetensors, model.json, history.tsv")
    add(parser, Training)


def run_train(arguments: Namespace) -> None:
    from pmrpipe.study.options.training import Training

    options = read(arguments, Training)
    from pmrpipe.stages.train.job import train

    train(arguments.arrays, arguments.out, options, say=say, bar=sys.stderr.isatty())


def add_ship(parser: ArgumentParser) -> None:
    path_argument(parser, "trained", help="folder with weights.safetensors and model.json")
    path_argument(
        parser, "dataset", nargs="?", help="BIDS folder of its own cohort, if model.json lacks it"
    )


def run_ship(arguments: Namespace) -> None:
    from pmrpipe.stages.train.ship import ship

    say(f"written to {ship(arguments.trained, arguments.dataset)}")
