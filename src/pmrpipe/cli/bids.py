"""Verb `bids`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pmrpipe.cli.arguments import add, path_argument, read
from pmrpipe.cli.messages import say


def add_bids(parser: ArgumentParser) -> None:
    from pmrpipe.study.options.bids_app import BidsApp

    path_argument(parser, "dataset", metavar="BIDS_DIR", help="dataset with T1w scans; read only")
    path_argument(parser, "output", metavar="OUT", help="folder that receives the derivatives")
    parser.add_argument(
        "level",
        choices=["participant", "group"],
        help="participant: the scans, and the tables of those that are named; group: the same for "
        "all, where what stands is not made again",
    )
    parser.add_argument("--cores", default="all", help="of snakemake; default: all")
    add(parser, BidsApp)
    parser.epilog = "Further options are handed to snakemake, such as --dry-run or --use-conda."


def run_bids(arguments: Namespace) -> None:
    from pmrpipe.base.errors import InputError
    from pmrpipe.study.options.bids_app import BidsApp
    from pmrpipe.workflow.bids_app import write_study
    from pmrpipe.workflow.run import run_snakemake

    options = read(arguments, BidsApp)
    if arguments.level == "group" and options.participant_label:
        remedy = "leave it out, or say participant"
        raise InputError("--participant-label", "goes with the level participant", remedy)
    study = write_study(arguments.dataset, arguments.output, options)
    say(f"the study is {study}")
    folder = str(study.parents[1])
    words = [*arguments.more, "--cores", arguments.cores, "--directory", folder]
    run_snakemake([*words, "--configfile", str(study)])
