"""What target `change` of a study compares: the sessions of each person with the first of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from pmrpipe.base.errors import InputError
from pmrpipe.stages.cohort.scans import Scan
from pmrpipe.study.options.change import Comparing, Measuring
from pmrpipe.workflow import parcellation
from pmrpipe.workflow.plan import Plan

TABLE, FACTS, PAGE = "change.tsv", "change.json", "page.html"


@lru_cache(maxsize=4)  # every job asks
def persons(plan: Plan) -> dict[str, list[Scan]]:
    """The compared scans of each person, the first in front: of each session its first run.

    Raises
    ------
    InputError : nobody has two sessions; a named subject that has not, or is not there; a named
        session that nobody has
    """
    contrast, named = plan.study.inputs.contrast, plan.study.change.subjects
    everybody = _sessions(plan)
    _require_sessions(plan)
    for subject in named or ():
        if subject not in everybody:
            problem = f"{subject} has no {contrast} scan in these sessions"
            raise InputError("change.subjects", problem, "see cohort.tsv")
        if len(everybody[subject]) < 2:
            (only,) = everybody[subject]
            problem = f"{subject} has one session with a {contrast} scan, {only.key}"
            raise InputError("change.subjects", problem, "leave it out")
    able = {
        subject: scans
        for subject, scans in everybody.items()
        if len(scans) > 1 and (named is None or subject in named)
    }
    if not able:
        remedy = "see `sessions` in cohort.tsv, change.sessions and split"
        raise InputError("change", f"nobody has two sessions with a {contrast} scan", remedy)
    return able


def _sessions(plan: Plan) -> dict[str, list[Scan]]:
    """Of every person one scan a session, in order."""
    wanted, contrast = plan.study.change.sessions, plan.study.inputs.contrast
    chosen: dict[str, dict[str, Scan]] = {}
    for scan in plan.scans.values():
        session = scan.session
        # Without a session a scan is one of an unknown day, and those beside it are its runs.
        if scan.contrast != contrast or session is None:
            continue
        if wanted is None or session in wanted:
            chosen.setdefault(scan.subject, {}).setdefault(session, scan)
    order: Callable[[str], Any] = natural if wanted is None else wanted.index
    return {
        subject: [scans[session] for session in sorted(scans, key=order)]
        for subject, scans in chosen.items()
    }


def _require_sessions(plan: Plan) -> None:
    there = {scan.session for scan in plan.scans.values() if scan.session}
    absent = [name for name in plan.study.change.sessions or () if name not in there]
    if absent:
        remedy = f"there are {', '.join(sorted(there, key=natural)[:9]) or 'none'}"
        raise InputError("change.sessions", f"nobody has {absent[0]}", remedy)


def natural(name: str) -> list[tuple[int, str]]:
    """Order of names in which numbers count by their size: ses-2 before ses-10."""
    parts = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def labels(plan: Plan, scan: Scan) -> Path | None:
    """Label map on a scan's own grid: its own, or the one that target `parcellate` makes."""
    if scan.labels is not None:
        return scan.labels if plan.label_scan(scan.key).key == scan.key else None
    try:
        made = scan.key in parcellation.atlases(plan)
    except InputError:
        return None
    return plan.results.parcellated(scan.key) if made else None


def wanted(plan: Plan) -> list[Path]:
    """The files of the target."""
    pages = [plan.results.changed(subject, PAGE) for subject in persons(plan)]
    return [*pages, plan.results.changes]


def remarks(plan: Plan) -> list[str]:
    """What whoever asks for the target is told.

    Of whom the brain alone is measured, who is not compared, and who begins at a later session.
    """
    firsts, named = [scans[0] for scans in persons(plan).values()], plan.study.change
    bare = [scan.key for scan in firsts if labels(plan, scan) is None]
    later = [
        f"{scan.subject} at {scan.session}"
        for scan in firsts
        if named.sessions and scan.session != named.sessions[0]
    ]
    everybody = sorted({scan.subject for scan in plan.scans.values()} - set(persons(plan)))
    alone = [] if named.subjects else everybody
    told = {
        "no labels of the first scan; the brain as a whole is measured "
        "(inputs.labels_root, or pairs: {policy: from-atlases})": bare,
        "fewer than two of the sessions; not compared": alone,
        f"without {(named.sessions or [''])[0]}; the first is another": later,
    }
    return [f"change: {_counted(names)}: {line}" for line, names in told.items() if names]


def _counted(names: list[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def reading(plan: Plan, subject: str) -> dict[str, Any]:
    """What one person's job reads."""
    scans, paths = persons(plan)[subject], plan.results
    first, keys = scans[0], [scan.key for scan in scans]
    files: dict[str, Any] = {
        "scans": [scan.image for scan in scans],
        "brains": [paths.preproc(key) for key in keys],
        "xfms": [paths.affine(key) for key in keys],
    }
    marks = {"labels": labels(plan, first), "lesion": first.lesion}
    return files | {name: path for name, path in marks.items() if path is not None}


def comparing(plan: Plan, subject: str) -> Comparing:
    """What one person's job is told."""
    study, scans = plan.study, persons(plan)[subject]
    return Comparing(
        **{name: getattr(study.change, name) for name in Measuring.model_fields},
        mm=study.grid_mm,
        space=study.space,
        scans={scan.key: scan.image for scan in scans},
        orientations={scan.key: scan.orientation for scan in scans if scan.orientation},
        labels=labels(plan, scans[0]),
        table=study.labels,
        lesion=scans[0].lesion,
        seed=study.seed,
        threads=study.threads.registration,
    )


def gathered(plan: Plan) -> list[Path]:
    """The tables of all persons."""
    return [plan.results.changed(subject, TABLE) for subject in persons(plan)]


def firsts(plan: Plan) -> list[str]:
    """Key of each person's first scan."""
    return [scans[0].key for scans in persons(plan).values()]
