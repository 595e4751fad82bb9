"""Verbs of the stage maps."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pmrpipe.cli.arguments import add, path_argument, read
from pmrpipe.study.options.mapping import Mapping, MapTable


def add_map(parser: ArgumentParser) -> None:
    path_argument(parser, "results", help="result folder of the cohort")
    add(parser, Mapping)


def run_map(given: Namespace) -> None:
    from pmrpipe.stages.maps.job import run
    from pmrpipe.study.paths import Results

    options = read(given, Mapping)
    run(Results.of(given.results, options), options)


def add_maps_table(parser: ArgumentParser) -> None:
    path_argument(parser, "results", help="result folder of the cohort")
    add(parser, MapTable)


def run_maps_table(given: Namespace) -> None:
    from pmrpipe.stages.maps.table import gather
    from pmrpipe.study.paths import Results

    options = read(given, MapTable)
    gather(Results.of(given.results, options), options.scans, options.participants)
