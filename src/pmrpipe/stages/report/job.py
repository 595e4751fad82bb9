"""The report of a study: what a reader must know of how its numbers came about, and the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from pmrpipe.base.versions import commit, versions
from pmrpipe.methods.spec import MethodSpec
from pmrpipe.stages.report.collect import MethodInfo
from pmrpipe.stages.report.page import build_report
from pmrpipe.study.config import Study
from pmrpipe.study.labels import read_label_table

_ALWAYS = {
    "Brain extraction": "Fisch et al., Comput Biol Med 179 (2024) 108845 (deepbet)",
    "Affine normalisation": "Avants et al., NeuroImage 54 (2011) 2033-2044 (ANTs)",
    "Workflow": "Mölder et al., F1000Research 10 (2021) 33 (Snakemake)",
}


def write_report(
    study: Study,
    methods: Iterable[MethodSpec],
    *,
    pairs: int,
    excluded: Mapping[str, str],
    workers: int = 1,
    say: Callable[[str], None] | None = None,
) -> None:
    """Write the report page of a study.

    Parameters
    ----------
    methods : rows of the tables, in the order in which they are shown
    pairs : how many are registered
    excluded : scans that are left out, with their reasons
    workers : processes that draw
    """
    results, checkout = study.paths, commit()
    build_report(
        results,
        results.report,
        methods=[MethodInfo(m.name, m.title, m.citation, m.kind) for m in methods],
        title=study.cohort,
        label_table=read_label_table(study.labels) if study.labels else None,
        config_summary=configuration(study, pairs),
        citations=_ALWAYS,
        excluded=[{"key": key, "reason": reason} for key, reason in excluded.items()],
        versions=versions() | ({"commit": checkout} if checkout else {}),
        progress=say,
        workers=workers,
    )


def configuration(study: Study, pairs: int) -> dict[str, str]:
    """The configuration for a reader; no path of this machine."""
    limits = study.training.model_dump(exclude_none=True)
    inside = f"{study.network_mm:g} mm" if study.network_mm else "each method's own"
    return {
        "Reader": study.reader,
        "Input": "whole heads" if study.input_state == "head" else "extracted brains",
        "Pairs": f"{study.pairs.policy}: {pairs} ordered pairs",
        "Space": study.paths.space.name,
        "Grid": f"{study.grid_mm:g} mm",
        "Inside the networks": inside,
        "Training": ", ".join(f"{k.replace('_', ' ')} {v:g}" for k, v in limits.items())
        or "default",
        "Label table": study.labels or "none",
        "Label interpolation": study.labels_interpolation,
        "Seed": str(study.seed),
    }
