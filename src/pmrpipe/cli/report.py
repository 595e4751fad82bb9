"""Verb `report`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pmrpipe.cli.arguments import add, read
from pmrpipe.cli.messages import say


def add_report(parser: ArgumentParser) -> None:
    from pmrpipe.study.options.common import Drawing

    parser.add_argument("study", help="configuration: a YAML file, or JSON text")
    add(parser, Drawing)


def run_report(arguments: Namespace) -> None:
    from pmrpipe.study.config import load
    from pmrpipe.study.options.common import Drawing

    options = read(arguments, Drawing)
    from pmrpipe.stages.report.job import write_report
    from pmrpipe.workflow.plan import Plan

    plan = Plan(load(arguments.study))
    write_report(
        plan.study,
        plan.specs.values(),
        pairs=len(plan.pairs),
        excluded=plan.cohort.excluded,
        workers=options.threads,
        say=say,
    )
