"""Verb `report`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace


def add_report(parser: ArgumentParser) -> None:
    parser.add_argument("study", help="configuration: a YAML file, or JSON text")


def run_report(options: Namespace) -> None:
    from pmrpipe.cohort.labels import read_label_table
    from pmrpipe.config import load
    from pmrpipe.plan import Plan
    from pmrpipe.report import build_report

    plan = Plan(load(options.study))
    study = plan.study
    build_report(
        plan.results,
        plan.results.report,
        methods=plan.methods,
        title=study.cohort,
        config_summary={},
        citations={name: spec.citation for name, spec in plan.specs.items()},
        excluded=[{"key": k, "reason": r} for k, r in plan.cohort.excluded.items()],
        label_table=read_label_table(study.labels) if study.labels else None,
    )
