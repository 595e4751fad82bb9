"""Verbs of the stage parcellate."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pmrpipe.cli.arguments import add, path_argument, read
from pmrpipe.cli.messages import say
from pmrpipe.cli.native_work import add_work, read_work
from pmrpipe.study.options.fusing import Fusing
from pmrpipe.study.options.parcellation import SHARED, Parcellation


def add_parcellate(parser: ArgumentParser) -> None:
    path_argument(parser, "scan", help="T1w scan that is labelled")
    path_argument(parser, "--output", required=True, help="folder for the results")
    add(parser, Parcellation)
    add_work(parser, SHARED)


def run_parcellate(options: Namespace) -> None:
    from pmrpipe.native.parcellate import parcellate
    from pmrpipe.native.request import Scan

    work, how = read_work(options), read(options, Parcellation)
    scan = Scan(
        options.scan, "brain" if work.brain_extracted else "head", how.mask, how.orientation
    )
    labelled = parcellate(scan, how, work, options.output, say)
    there = labelled.volumes["label"].notna() & (labelled.volumes["volume_mm3"] > 0)
    say(f"{int(there.sum())} labels from {len(labelled.facts['atlases'])} atlases")
    say(f"look at {options.output / 'qc.html'}")


def add_fuse(parser: ArgumentParser) -> None:
    path_argument(parser, "results", help="result folder of the cohort")
    add(parser, Fusing)


def run_fuse(options: Namespace) -> None:
    from pmrpipe.stages.parcellate.job import run
    from pmrpipe.study.paths import Results

    checked = read(options, Fusing)
    run(Results.of(options.results, checked), checked)


def add_volumes(parser: ArgumentParser) -> None:
    path_argument(parser, "results", help="result folder of the cohort")
    parser.add_argument("keys", nargs="+", help="scans whose tables are gathered")


def run_volumes(options: Namespace) -> None:
    from pmrpipe.stages.parcellate.job import gather
    from pmrpipe.study.paths import Results

    gather(Results(options.results), options.keys)
