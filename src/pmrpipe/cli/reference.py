"""Verbs `compare-pairs` and `compare-tables`: methods beside a reference method."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pmrpipe.cli.arguments import add, path_argument, read
from pmrpipe.cli.messages import follow_pairs


def add_compare_pairs(parser: ArgumentParser) -> None:
    from pmrpipe.study.options.scoring import Comparing

    path_argument(parser, "results", help="result folder of the cohort")
    path_argument(parser, "out", help="folder for errors_by_pair.tsv and counts.tsv")
    add(parser, Comparing)


def run_compare_pairs(arguments: Namespace) -> None:
    from pmrpipe.study.options.scoring import Comparing

    options = read(arguments, Comparing)
    from pmrpipe.stages.score.reference_pairs import compare_pairs
    from pmrpipe.study.paths import Results

    compare_pairs(Results.of(arguments.results, options), arguments.out, options, follow_pairs)


def add_compare_tables(parser: ArgumentParser) -> None:
    from pmrpipe.study.options.scoring import Referring

    path_argument(parser, "results", help="result folder of the cohort, compared")
    add(parser, Referring)


def run_compare_tables(arguments: Namespace) -> None:
    from pmrpipe.study.options.scoring import Referring

    options = read(arguments, Referring)
    from pmrpipe.stages.score.reference_tables import write_tables
    from pmrpipe.study.paths import Results

    write_tables(Results(arguments.results), options)
