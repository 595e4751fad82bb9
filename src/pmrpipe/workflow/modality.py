"""What target `modalities` of a study makes: scans of other contrasts on their session's T1w."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from pmrpipe.base.errors import InputError
from pmrpipe.study.options.modalities import Overlaying, SessionPage
from pmrpipe.study.sidecar import sidecar_path
from pmrpipe.workflow.plan import Plan

PAGE = "page.html"


@lru_cache(maxsize=4)  # every job asks
def sessions(plan: Plan) -> dict[str, list[str]]:
    """Keys of T1w scans, each with the scans of other contrasts that go through it.

    Raises
    ------
    InputError : no scan goes through a T1w
    """
    chosen: dict[str, list[str]] = {}
    for scan in plan.scans.values():
        if scan.through is not None:
            chosen.setdefault(scan.through, []).append(scan.key)
    if not chosen:
        problem = "no scan of another contrast has a T1w in its session"
        remedy = "inputs: {contrast: T2w}, or pairs: {moving: T2w, fixed: T1w}"
        raise InputError("modalities", problem, remedy)
    return {t1w: sorted(keys) for t1w, keys in chosen.items()}


def wanted(plan: Plan) -> list[Path]:
    """The files of the target."""
    return [plan.results.modalities(t1w, PAGE) for t1w in sessions(plan)]


def overlaid(plan: Plan, key: str) -> dict[str, Any]:
    """What one scan's job reads."""
    scan, paths = plan.scans[key], plan.results
    assert scan.through is not None, f"{key} goes through no T1w"
    keys = (scan.through, key)
    return {
        "scans": [plan.scans[k].image for k in keys],
        "xfms": [paths.affine(k) for k in keys],
        "mask": paths.mask(scan.through),
    }


def overlaying(plan: Plan, key: str) -> Overlaying:
    """What one scan's job is told."""
    scan = plan.scans[key]
    return Overlaying(
        **_of_t1w(plan, str(scan.through)),
        scan=key,
        scan_image=scan.image,
        scan_orientation=scan.orientation,
    )


def shown(plan: Plan, t1w: str) -> dict[str, Any]:
    """What a session's page reads."""
    images = [plan.results.overlay(key, t1w) for key in sessions(plan)[t1w]]
    return {
        "scan": plan.scans[t1w].image,
        "mask": plan.results.mask(t1w),
        "images": [*images, *map(sidecar_path, images)],
    }


def page(plan: Plan, t1w: str) -> SessionPage:
    """What a session's page is told."""
    return SessionPage(**_of_t1w(plan, t1w), scans=tuple(sessions(plan)[t1w]))


def _of_t1w(plan: Plan, t1w: str) -> dict[str, Any]:
    scan, study = plan.scans[t1w], plan.study
    return {
        "mm": study.grid_mm,
        "space": study.space,
        "t1w": t1w,
        "image": scan.image,
        "orientation": scan.orientation,
    }
