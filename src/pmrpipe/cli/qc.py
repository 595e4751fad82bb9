"""Verbs of the stage qc."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pmrpipe.cli.messages import path_argument, say


def add_qc(parser: ArgumentParser) -> None:
    path_argument(parser, "t1w", help="T1w scan as it comes")
    path_argument(parser, "results", help="result folder of the cohort")
    parser.add_argument("--key", required=True, help="sub-X[_ses-Y][_run-N]")
    parser.add_argument("--mm", type=float, default=1.0, help="voxel size of the template grid")
    parser.add_argument("--orientation", help="orientation code, where the header has none")


def run_qc(options: Namespace) -> None:
    from pmrpipe.stages.qc.page import write_page
    from pmrpipe.study.paths import Results

    results = Results(options.results, options.mm)
    write_page(options.t1w, results, options.key, orientation=options.orientation)


def add_qc_template(parser: ArgumentParser) -> None:
    path_argument(parser, "results", help="result folder of the cohort")
    parser.add_argument("--mm", type=float, default=1.0, help="voxel size of the template grid")


def run_qc_template(options: Namespace) -> None:
    from pmrpipe.stages.qc.page import write_template_figure
    from pmrpipe.study.paths import Results

    write_template_figure(Results(options.results, options.mm))


def add_qc_table(parser: ArgumentParser) -> None:
    parser.add_argument("study", help="configuration: a YAML file, or JSON text")


def run_qc_table(options: Namespace) -> None:
    from pmrpipe.stages.qc.table import write_qc_table
    from pmrpipe.study.config import load
    from pmrpipe.workflow.plan import Plan

    plan = Plan(load(options.study))
    table = write_qc_table(plan.results.qc, plan.results, plan.scans)
    for _, row in table.dropna(subset="outlier").iterrows():
        say(f"look at {row['key']}: {row['outlier']}")
