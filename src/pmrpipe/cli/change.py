"""Verbs of the stage change."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pmrpipe.cli.arguments import add, path_argument, read, said_path
from pmrpipe.cli.messages import say
from pmrpipe.cli.native_work import add_work, read_work
from pmrpipe.study.options.change import SHARED, Change, Comparing


def add_change(parser: ArgumentParser) -> None:
    parser.add_argument(
        "scans", nargs="+", type=said_path, metavar="SCAN", help="T1w scans of one person, in order"
    )
    path_argument(parser, "--output", required=True, help="folder for the results")
    add(parser, Change)
    add_work(parser, SHARED)


def run_change(options: Namespace) -> None:
    from pmrpipe.native.change import change

    work, how = read_work(options), read(options, Change)
    changed = change(options.scans, how, work, options.output, say)
    for row in changed.table:
        noise = row["noise_percent"]
        told = "" if noise is None else f" (noise {noise:.2f} %)"
        if not isinstance(row["label"], int):
            say(f"{row['scan']}: {row['name']} {row['percent']:+.2f} %{told}")
    say(f"look at {options.output / 'qc.html'}")


def add_compare_sessions(parser: ArgumentParser) -> None:
    path_argument(parser, "results", help="result folder of the cohort")
    add(parser, Comparing)


def run_compare_sessions(arguments: Namespace) -> None:
    from pmrpipe.stages.change.job import run
    from pmrpipe.study.paths import Results

    options = read(arguments, Comparing)
    run(Results.of(arguments.results, options), options)


def add_change_table(parser: ArgumentParser) -> None:
    path_argument(parser, "results", help="result folder of the cohort")
    parser.add_argument("keys", nargs="+", help="first scan of each person")


def run_change_table(arguments: Namespace) -> None:
    from pmrpipe.stages.change.job import gather
    from pmrpipe.study.paths import Results

    gather(Results(arguments.results), arguments.keys)
