"""Verbs of the stage parcellate."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pmrpipe.cli.arguments import add, path_argument, read
from pmrpipe.cli.messages import say
from pmrpipe.study.options.fusing import Fusing
from pmrpipe.study.options.parcellation import SHARED, Parcellation
from pmrpipe.study.options.two_scans import TwoScans


def add_parcellate(parser: ArgumentParser) -> None:
    path_argument(parser, "scan", help="T1w scan that is labelled")
    path_argument(parser, "--output", required=True, help="folder for the results")
    add(parser, Parcellation)
    add(parser, TwoScans, SHARED)
    parser.add_argument(
        "--no-cache",
        action="store_true",
        help="keep no preprocessed scans; without --cache they are kept in $PMRPIPE_CACHE, or in "
        "~/.cache/pmrpipe",
    )


def run_parcellate(options: Namespace) -> None:
    from pmrpipe.base.files import cache_folder
    from pmrpipe.native.parcellate import parcellate
    from pmrpipe.native.request import Scan

    work, how = read(options, TwoScans), read(options, Parcellation)
    cache = None if options.no_cache else work.cache or cache_folder()
    work = work.model_copy(update={"cache": cache})
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
