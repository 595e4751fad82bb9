"""Verb `run`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace


def add_run(parser: ArgumentParser) -> None:
    parser.usage = "pmrpipe run [TARGET ...] [option of snakemake ...]"
    parser.epilog = (
        "Everything is handed to snakemake: pmrpipe run score --cores 8 --configfile mine.yaml "
        "--config root=/data/mine. Results, logs and .snakemake go to the working folder; "
        "config/NAME.yaml may be one that comes with pmrpipe."
    )


def run_run(options: Namespace) -> None:
    from pmrpipe.workflow.run import run_snakemake

    run_snakemake(options.more)
