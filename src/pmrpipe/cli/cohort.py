"""Verbs `cohort`, `simulate` and `label-table`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pmrpipe.cli.arguments import add, path_argument, read
from pmrpipe.cli.messages import say


def add_cohort(parser: ArgumentParser) -> None:
    parser.add_argument("study", help="configuration: a YAML file, or JSON text")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="override keys")
    path_argument(parser, "--cohort-out", help="cohort.tsv; default: in the result folder")
    path_argument(parser, "--pairs-out", help="pairs.tsv; default: in the result folder")


def run_cohort(arguments: Namespace) -> None:
    from pmrpipe.stages.cohort.tables import write_tables
    from pmrpipe.study.config import load

    study = load(arguments.study, arguments.set)
    for line in write_tables(study, arguments.cohort_out, arguments.pairs_out):
        say(line)


def add_simulate(parser: ArgumentParser) -> None:
    from pmrpipe.study.options.simulation import Simulation

    path_argument(parser, "root", help="folder of the simulated dataset")
    add(parser, Simulation)
    parser.add_argument("--only", type=int, help="write this subject alone (counted from 1)")
    parser.add_argument("--dataset-only", action="store_true", help="write the dataset files alone")


def run_simulate(arguments: Namespace) -> None:
    from pmrpipe.study.options.simulation import Simulation

    options = read(arguments, Simulation)
    from pmrpipe.stages.cohort import embedded
    from pmrpipe.stages.cohort.simulated import require_simulated

    root, count, mm, seed = arguments.root, options.subjects, options.mm, options.seed
    require_simulated(root)
    if arguments.dataset_only:
        embedded.write_dataset(root, count, mm, seed)
    elif arguments.only is not None:
        embedded.simulate_subject(root, arguments.only, mm, seed)
        for contrast in options.contrasts:
            embedded.simulate_contrast(root, arguments.only, contrast, mm, seed)
    else:
        embedded.simulate(root, count, mm, seed, say, options.contrasts)


def add_label_table(parser: ArgumentParser) -> None:
    from pmrpipe.study.options.listing import Listing

    path_argument(parser, "out", help="the table to write, TSV")
    path_argument(parser, "maps", nargs="+", help="label maps")
    add(parser, Listing)


def run_label_table(arguments: Namespace) -> None:
    from pmrpipe.study.options.listing import Listing

    options = read(arguments, Listing)
    from pmrpipe.stages.cohort.label_table import write_label_table

    count = write_label_table(
        arguments.out, arguments.maps, options.orientation, overwrite=options.overwrite
    )
    say(f"{arguments.out}: {count} labels; give them names and regions")
