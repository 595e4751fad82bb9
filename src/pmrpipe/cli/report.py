"""Verb `report`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from pmrpipe.cli.messages import say

if TYPE_CHECKING:
    from pmrpipe.workflow.plan import Plan

_ALWAYS = {
    "Brain extraction": "Fisch et al., Comput Biol Med 179 (2024) 108845 (deepbet)",
    "Affine normalisation": "Avants et al., NeuroImage 54 (2011) 2033-2044 (ANTs)",
    "Template": "Fonov et al., NeuroImage 54 (2011) 313-327 (MNI152NLin2009aSym)",
    "Workflow": "Mölder et al., F1000Research 10 (2021) 33 (Snakemake)",
}


def add_report(parser: ArgumentParser) -> None:
    parser.add_argument("study", help="configuration: a YAML file, or JSON text")
    parser.add_argument("--threads", type=int, default=1, help="processes that draw")


def run_report(options: Namespace) -> None:
    from pmrpipe.base.versions import commit, versions
    from pmrpipe.stages.report.collect import MethodInfo
    from pmrpipe.stages.report.page import build_report
    from pmrpipe.study.config import load
    from pmrpipe.study.labels import read_label_table
    from pmrpipe.workflow.plan import Plan

    plan = Plan(load(options.study))
    study, found = plan.study, commit(Path(__file__).resolve().parents[3])
    build_report(
        plan.results,
        plan.results.report,
        methods=[MethodInfo(s.name, s.title, s.citation, s.kind) for s in plan.specs.values()],
        title=study.cohort,
        label_table=read_label_table(study.labels) if study.labels else None,
        config_summary=_configuration(plan),
        citations=_ALWAYS,
        excluded=[{"key": k, "reason": r} for k, r in plan.cohort.excluded.items()],
        versions=versions() | ({"commit": found} if found else {}),
        progress=say,
        workers=options.threads,
    )


def _configuration(plan: Plan) -> dict[str, str]:
    """What a reader must know of how the numbers came about; no path of this machine."""
    study = plan.study
    limits = study.training.model_dump(exclude_none=True)
    inside = f"{study.network_mm:g} mm" if study.network_mm else "each method's own"
    return {
        "Reader": study.reader,
        "Input": "whole heads" if study.input_state == "head" else "extracted brains",
        "Pairs": f"{study.pairs.policy}: {len(plan.pairs)} ordered pairs",
        "Grid": f"{study.grid_mm:g} mm",
        "Inside the networks": inside,
        "Training": ", ".join(f"{k.replace('_', ' ')} {v:g}" for k, v in limits.items())
        or "default",
        "Label table": study.labels or "none",
        "Label interpolation": study.labels_interpolation,
        "Seed": str(study.seed),
    }
