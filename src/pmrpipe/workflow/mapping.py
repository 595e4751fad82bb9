"""What target `maps` of a study makes: which scans, by which method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pmrpipe.base.errors import InputError
from pmrpipe.study.keys import subject_of
from pmrpipe.study.options.mapping import Mapping, MapTable
from pmrpipe.study.participants import read_covariates
from pmrpipe.workflow.plan import Plan


def method(plan: Plan) -> str:
    """The row whose registrations count; InputError when it is none of the study's."""
    named = plan.study.maps.method or plan.methods[-1]
    if named not in plan.methods:
        problem = f"`{named}` is not among the methods {', '.join(plan.methods)}"
        raise InputError("maps.method", problem, "correct the name")
    if not (plan.specs[named].deforms or plan.study.maps.with_affine):
        remedy = "name one that deforms, or maps: {with_affine: true}"
        raise InputError("maps.method", f"`{named}` changes no local volume", remedy)
    return named


def scans(plan: Plan) -> list[str]:
    """Scans that are registered to the template; InputError when there is none."""
    keys = [moving for moving, fixed in plan.pairs if fixed == plan.results.space.key]
    if not keys:
        remedy = "pairs: {policy: to-template}"
        raise InputError("pairs", "no scan is registered to the template", remedy)
    return keys


def participants(plan: Plan) -> Path | None:
    """The dataset's table of participants, where it has one."""
    path = plan.study.input_root / "participants.tsv"
    return path if plan.study.reader != "embedded" and path.is_file() else None


def wanted(plan: Plan) -> list[Path]:
    """The files of the target; what cannot be tabulated is refused before the first job."""
    method(plan)
    subjects, people = {subject_of(key) for key in scans(plan)}, participants(plan)
    if people is not None:
        read_covariates(people, subjects)
    return [plan.results.maps / "maps.tsv"]


def reading(plan: Plan, key: str) -> dict[str, Any]:
    """What one scan's job reads."""
    row, pair = method(plan), (key, plan.results.space.key)
    batches = [name for name, pairs in plan.batches(row).items() if pair in pairs]
    registered = [plan.results.registered(row, name) for name in batches]
    return {"pairs": registered, "xfm": plan.results.affine(key)}


def mapping(plan: Plan, key: str) -> Mapping:
    """What one scan's job is told."""
    study = plan.study
    return Mapping(
        mm=study.grid_mm,
        space=study.space,
        smooth_mm=study.maps.smooth_mm,
        with_affine=study.maps.with_affine,
        method=method(plan),
        scan=key,
    )


def gathered(plan: Plan) -> dict[str, Any]:
    """What the table is made of."""
    maps = [plan.results.log_jacobian(key) for key in scans(plan)]
    table = participants(plan)
    return {"maps": maps} | ({"participants": table} if table else {})


def table(plan: Plan) -> MapTable:
    """What the table's job is told."""
    study = plan.study
    keys = tuple(scans(plan))
    return MapTable(
        mm=study.grid_mm, space=study.space, scans=keys, participants=participants(plan)
    )
