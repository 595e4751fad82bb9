"""Verb `template`."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from pmrpipe.cli.arguments import add, path_argument, read
from pmrpipe.cli.messages import say


def add_template(parser: ArgumentParser) -> None:
    from pmrpipe.study.options.template import TemplateMaking

    path_argument(parser, "results", help="result folder of the cohort, its scans preprocessed")
    add(parser, TemplateMaking)


def run_template(arguments: Namespace) -> None:
    from pmrpipe.study.options.template import TemplateMaking

    options = read(arguments, TemplateMaking)
    # Before ITK is loaded: its sums depend on the number of threads.
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(options.threads)
    from pmrpipe.stages.template.job import make_template

    rows = make_template(arguments.results, options, say)
    say(f"template {options.name}: {len(rows) - 1} rounds, sharpness {rows[-1]['sharpness']:.4f}")
