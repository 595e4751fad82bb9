"""What target `reference` of a study makes: methods beside their reference, job by job."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from pmrpipe.base.errors import InputError
from pmrpipe.stages.cohort.pairs import Pair, batches
from pmrpipe.study.keys import pair_name
from pmrpipe.study.options.scoring import Comparing, Referring
from pmrpipe.workflow.plan import Plan

TABLES = ("errors_by_pair", "errors", "jacobians", "overlap", "overlap_summary", "times")

_PARTS = ("errors_by_pair.tsv", "counts.tsv")


@lru_cache(maxsize=4)  # every job asks
def jobs(plan: Plan) -> dict[str, list[Pair]]:
    """Pairs of each job, the same for every method."""
    return batches(plan.pairs, plan.study.pairs_per_job)


def tables(plan: Plan) -> list[Path]:
    """The tables of a study that has a reference; none in another."""
    if not plan.references or not plan.pairs:
        return []
    folder = plan.results.beside_reference
    return [folder / f"{name}{ending}" for name in TABLES for ending in (".tsv", ".json")]


def wanted(plan: Plan) -> list[Path]:
    """The files of the target; InputError where no method has a reference."""
    if not plan.references:
        problem = "no method has one to be set beside"
        if not plan.study.fields:
            raise InputError("reference", "needs the fields of the pairs", "set fields: true")
        raise InputError("reference", problem, "name one of `methods`")
    return tables(plan)


def compared(plan: Plan, method: str, job: str) -> dict[str, Any]:
    """What one job reads: the lists of its pairs, by both methods, and the fixed brains."""
    pairs, paths = jobs(plan)[job], plan.results
    lists = {
        paths.registered(name, _batches(plan, name)[pair]): None
        for name in (method, plan.references[method])
        for pair in pairs
    }
    return {
        "pairs": list(lists),
        "fixed": [paths.preproc(key) for key in sorted({f for _, f in pairs})],
    }


@lru_cache(maxsize=64)
def _batches(plan: Plan, method: str) -> dict[Pair, str]:
    """The job in which a method registers each pair."""
    return {pair: batch for batch, pairs in plan.batches(method).items() for pair in pairs}


def comparing(plan: Plan, method: str, job: str) -> Comparing:
    """What one job is told."""
    return Comparing(
        mm=plan.study.grid_mm,
        space=plan.study.space,
        method=method,
        reference=plan.references[method],
        identity=not plan.specs[method].deforms,
        pairs=tuple(pair_name(*pair) for pair in jobs(plan)[job]),
    )


def gathered(plan: Plan) -> dict[str, Any]:
    """What the tables are made of."""
    paths = plan.results
    folders = [paths.compared(method, job) for method in plan.references for job in jobs(plan)]
    scores = [paths.score(m) / n for m in plan.methods for n in ("by_label.tsv", "timing.tsv")]
    return {"parts": [f / name for f in folders for name in _PARTS], "scores": scores}


def referring(plan: Plan) -> Referring:
    """What the tables' job is told."""
    return Referring(
        cohort=plan.study.cohort,
        references=plan.references,
        methods=tuple(plan.methods),
        jobs=tuple(f"{method}/{job}" for method in plan.references for job in jobs(plan)),
    )
