"""What target `parcellate` of a study makes: which scans, by which atlases, of which method."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from pmrpipe.base.errors import InputError
from pmrpipe.study.options.fusing import Fusing
from pmrpipe.workflow.plan import Plan


def method(plan: Plan) -> str:
    """The row whose registrations bring the labels.

    Raises
    ------
    InputError : it is none of the study's
    """
    named = plan.study.parcellate.method or plan.methods[-1]
    if named not in plan.methods:
        problem = f"`{named}` is not among the methods {', '.join(plan.methods)}"
        raise InputError("parcellate.method", problem, "correct the name")
    return named


@lru_cache(maxsize=4)  # every job asks
def atlases(plan: Plan) -> dict[str, list[str]]:
    """Scans that are labelled, each with the labelled scans that are registered to it.

    Raises
    ------
    InputError : no pair brings labels; the study names no label table
    """
    if plan.study.labels is None:
        raise InputError("labels", "no table says what the labels are", "name one")
    chosen: dict[str, list[str]] = {}
    for moving, fixed in plan.pairs:
        if plan.labelled(moving) and fixed in plan.scans:
            chosen.setdefault(fixed, []).append(moving)
    if not chosen:
        problem = "no registered pair brings labels to a scan"
        raise InputError("pairs", problem, "pairs: {policy: from-atlases} brings those of training")
    return chosen


def wanted(plan: Plan) -> list[Path]:
    """The files of the target."""
    method(plan)
    return [plan.results.parcellated(key) for key in atlases(plan)] + [plan.results.volumes]


def reading(plan: Plan, key: str) -> dict[str, Any]:
    """What one scan's job reads."""
    row, movings = method(plan), set(atlases(plan)[key])
    batches = [
        plan.results.registered(row, name)
        for name, pairs in plan.batches(row).items()
        if any(fixed == key and moving in movings for moving, fixed in pairs)
    ]
    paths = plan.results
    own = [paths.dseg(key)] if plan.labelled(key) else []
    scan = [plan.scans[key].image, paths.preproc(key), paths.affine(key)]
    return {"pairs": batches, "scan": scan, "own": own}


def fusing(plan: Plan, key: str) -> Fusing:
    """What one scan's job is told."""
    study = plan.study
    return Fusing(
        mm=study.grid_mm,
        space=study.space,
        method=method(plan),
        fixed=key,
        atlases=tuple(sorted(atlases(plan)[key])),
        table=str(study.labels),
        scan=plan.scans[key].image,
        orientation=plan.scans[key].orientation,
        fusion=study.parcellate.fusion,
    )
