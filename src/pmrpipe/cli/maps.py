"""Verbs of the stage maps."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pmrpipe.cli.arguments import add, path_argument, read
from pmrpipe.study.options.mapping import Mapping, MapTable


def add_map(parser: ArgumentParser) -> None:
    path_argument(parser, "results", help="result folder of the cohort")
    add(parser, Mapping)


def run_map(arguments: Namespace) -> None:
    from pmrpipe.stages.maps.job import run
    from pmrpipe.study.paths import Results

    options = read(arguments, Mapping)
    run(Results.of(arguments.results, options), options)


def add_maps_table(parser: ArgumentParser) -> None:
    path_argument(parser, "results", help="result folder of the cohort")
    add(parser, MapTable)


def run_maps_table(arguments: Namespace) -> None:
    from pmrpipe.stages.maps.table import gather
    from pmrpipe.study.paths import Results

    options = read(arguments, MapTable)
    gather(Results.of(arguments.results, options), options.scans, options.participants)
