"""Verbs of the stage modalities."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pmrpipe.cli.arguments import add, path_argument, read, said_path
from pmrpipe.cli.messages import say
from pmrpipe.cli.native_work import add_work, read_work
from pmrpipe.study.options.modalities import SHARED, Overlaying, SessionPage


def add_modalities(parser: ArgumentParser) -> None:
    path_argument(parser, "t1w", help="T1w scan of a session, whose grid the others get")
    parser.add_argument(
        "scans",
        nargs="+",
        type=said_path,
        metavar="SCAN",
        help="T2w, PDw, FLAIR ... of the same head",
    )
    path_argument(parser, "--output", required=True, help="folder for the results")
    add_work(parser, SHARED)


def run_modalities(options: Namespace) -> None:
    from pmrpipe.native.modalities import modalities

    overlays = modalities(options.t1w, options.scans, read_work(options), options.output, say)
    for shown in overlays:
        facts = shown.facts
        say(f"{shown.name}: mutual information with the T1w {facts['mutual_information']:.2f}")
        for doubt in facts["doubts"]:
            say(f"warning: {shown.name} {doubt}")
    say(f"look at {options.output / 'qc.html'}")


def add_overlay(parser: ArgumentParser) -> None:
    path_argument(parser, "results", help="result folder of the cohort")
    add(parser, Overlaying)


def run_overlay(arguments: Namespace) -> None:
    from pmrpipe.stages.modalities.job import bring
    from pmrpipe.study.paths import Results

    options = read(arguments, Overlaying)
    bring(Results.of(arguments.results, options), options)


def add_session_page(parser: ArgumentParser) -> None:
    path_argument(parser, "results", help="result folder of the cohort")
    add(parser, SessionPage)


def run_session_page(arguments: Namespace) -> None:
    from pmrpipe.stages.modalities.job import draw
    from pmrpipe.study.paths import Results

    options = read(arguments, SessionPage)
    draw(Results.of(arguments.results, options), options)
