"""Verbs of the stage qc."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pmrpipe.cli.arguments import add, path_argument, read
from pmrpipe.cli.messages import say


def add_qc(parser: ArgumentParser) -> None:
    from pmrpipe.study.options.preprocessing import Quality

    path_argument(parser, "t1w", help="T1w scan as it comes")
    path_argument(parser, "results", help="result folder of the cohort")
    parser.add_argument("--key", required=True, help="sub-X[_ses-Y][_run-N][_CONTRAST]")
    add(parser, Quality)


def run_qc(arguments: Namespace) -> None:
    from pmrpipe.stages.qc.page import write_page
    from pmrpipe.study.options.preprocessing import Quality
    from pmrpipe.study.paths import Results

    options = read(arguments, Quality)
    results = Results.of(arguments.results, options)
    write_page(arguments.t1w, results, arguments.key, orientation=options.orientation)


def add_qc_template(parser: ArgumentParser) -> None:
    from pmrpipe.study.options.preprocessing import Gridded

    path_argument(parser, "results", help="result folder of the cohort")
    add(parser, Gridded)


def run_qc_template(arguments: Namespace) -> None:
    from pmrpipe.stages.qc.page import write_template_figure
    from pmrpipe.study.options.preprocessing import Gridded
    from pmrpipe.study.paths import Results

    write_template_figure(Results.of(arguments.results, read(arguments, Gridded)))


def add_qc_table(parser: ArgumentParser) -> None:
    parser.add_argument("study", help="configuration: a YAML file, or JSON text")


def run_qc_table(arguments: Namespace) -> None:
    from pmrpipe.stages.cohort.index import index
    from pmrpipe.stages.qc.table import write_qc_table
    from pmrpipe.study.config import load

    study = load(arguments.study)
    table = write_qc_table(study.paths.qc, study.paths, index(study).keys)
    for _, row in table.dropna(subset="outlier").iterrows():
        say(f"look at {row['key']}: {row['outlier']}")
