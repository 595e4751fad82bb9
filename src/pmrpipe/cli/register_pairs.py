"""Verbs `register-pairs`, `register-levels`, `teach` and `pack-targets`."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from pmrpipe.cli.arguments import add, path_argument, read
from pmrpipe.cli.messages import follow_pairs, say


def add_register_pairs(parser: ArgumentParser) -> None:
    from pmrpipe.study.options.registration import Registration

    path_argument(parser, "results", help="result folder of the cohort")
    path_argument(parser, "out", help="list of the registered pairs, TSV")
    add(parser, Registration)


def run_register_pairs(arguments: Namespace) -> None:
    from pmrpipe.study.options.registration import Registration

    options = read(arguments, Registration)
    # Before ITK is loaded: its sums depend on the number of threads.
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(options.threads)
    from pmrpipe.stages.register.job import register_pairs

    register_pairs(arguments.results, arguments.out, options, follow_pairs, say)


def add_register_levels(parser: ArgumentParser) -> None:
    from pmrpipe.study.options.registration import LevelFields

    path_argument(parser, "results", help="result folder of the cohort, scored")
    add(parser, LevelFields)


def run_register_levels(arguments: Namespace) -> None:
    from pmrpipe.study.options.registration import LevelFields

    options = read(arguments, LevelFields)
    from pmrpipe.stages.register.level_fields import write_levels

    write_levels(arguments.results, options, follow_pairs)


def add_teach(parser: ArgumentParser) -> None:
    from pmrpipe.study.options.registration import Teaching

    path_argument(parser, "results", help="result folder of the cohort")
    path_argument(parser, "out", help="list of the registered pairs, TSV")
    add(parser, Teaching)


def run_teach(arguments: Namespace) -> None:
    from pmrpipe.study.options.registration import Teaching

    options = read(arguments, Teaching)
    # Before ITK is loaded: its sums depend on the number of threads.
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(options.threads)
    from pmrpipe.stages.register.teach import teach

    teach(arguments.results, arguments.out, options, follow_pairs)


def add_pack_targets(parser: ArgumentParser) -> None:
    from pmrpipe.study.options.registration import TargetPacking

    path_argument(parser, "results", help="result folder of the cohort")
    path_argument(parser, "out", help="fields, safetensors")
    add(parser, TargetPacking)


def run_pack_targets(arguments: Namespace) -> None:
    from pmrpipe.stages.register import targets
    from pmrpipe.study.options.registration import TargetPacking

    targets.run(arguments.results, arguments.out, read(arguments, TargetPacking))
