"""Verb `bids`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pmrpipe.cli.arguments import path_argument
from pmrpipe.cli.messages import say


def add_bids(parser: ArgumentParser) -> None:
    path_argument(parser, "dataset", metavar="BIDS_DIR", help="dataset with T1w scans; read only")
    path_argument(parser, "output", metavar="OUT", help="folder that receives the derivatives")
    parser.add_argument(
        "level",
        choices=["participant", "group"],
        help="participant: the scans, and the tables of those that are named; group: the same for "
        "all, where what stands is not made again",
    )
    parser.add_argument(
        "--participant-label", nargs="+", default=[], metavar="LABEL", help="with or without sub-"
    )
    parser.add_argument("--cores", default="all", help="default: all")
    parser.add_argument(
        "--method",
        nargs="+",
        default=["affine", "pmr-plus"],
        help="names or YAML files; networks need weights that come with pmrpipe",
    )
    parser.add_argument(
        "--labels",
        help="label table: participants with label maps are registered to each other and compared; "
        "without it each is registered to the template",
    )
    path_argument(parser, "--labels-root", help="dataset that holds the label maps")
    parser.add_argument(
        "--brain-extracted", action="store_true", help="the scans hold the brain alone"
    )
    parser.add_argument("--mm", type=float, default=1.0, help="voxel size of the template grid")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.epilog = "Further options are handed to snakemake, such as --dry-run or --use-conda."


def run_bids(options: Namespace) -> None:
    from pmrpipe.base.errors import InputError
    from pmrpipe.workflow.bids_app import BidsCall, write_study
    from pmrpipe.workflow.run import run_snakemake

    if options.level == "group" and options.participant_label:
        remedy = "leave it out, or say participant"
        raise InputError("--participant-label", "goes with the level participant", remedy)
    study = write_study(
        BidsCall(
            options.dataset,
            options.output,
            participants=options.participant_label,
            methods=options.method,
            labels=options.labels,
            labels_root=options.labels_root,
            brain_extracted=options.brain_extracted,
            mm=options.mm,
            device=options.device,
        )
    )
    say(f"the study is {study}")
    folder = str(study.parents[1])
    words = [*options.more, "--cores", options.cores, "--directory", folder]
    run_snakemake([*words, "--configfile", str(study)])
