"""Which files each job of a study reads: functions of a plan and of a job's wildcards."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pmrpipe.base.errors import InputError
from pmrpipe.workflow.commands import description, extraction_files, targets
from pmrpipe.workflow.plan import Plan

_TABLES = ("by_label.tsv", "by_pair.tsv", "timing.tsv")
_WEIGHTS = "weights.safetensors"


def raw_scan(plan: Plan, key: str) -> dict[str, Path]:
    """The scan as it comes, and the files that its brain extraction needs."""
    scan = plan.scans[key]
    return {"t1w": scan.image} | extraction_files(plan, scan)


def raw_labels(plan: Plan, key: str) -> dict[str, Path | None]:
    """The label map as it comes, and the scan that it belongs to."""
    scan = plan.scans[key]
    return {"labels": scan.labels, "t1w": scan.image}


def quality(plan: Plan, key: str) -> dict[str, Any]:
    """A scan as it came, and what preprocessing made of it."""
    paths = plan.results
    return {
        "t1w": plan.scans[key].image,
        "derivatives": [paths.mask(key), paths.brain(key), paths.affine(key), paths.preproc(key)],
        "template": [paths.preproc(paths.space.key), paths.qc_figure(paths.space.key, "template")],
    }


def preprocessed(plan: Plan, keys: Iterable[str]) -> list[Path]:
    """Images and, where there are any, labels of scans on the template grid."""
    keys = list(keys)
    images = [plan.results.preproc(key) for key in keys]
    return images + [plan.results.dseg(key) for key in keys if plan.labelled(key)]


def preprocessed_splits(plan: Plan, *splits: str) -> list[Path]:
    """The same for splits; for every scan when none is named."""
    scans = plan.cohort.of(*splits) if splits else plan.scans.values()
    return preprocessed(plan, [scan.key for scan in scans])


def packing(plan: Plan) -> list[Path]:
    """Scans that train and validate, and what their dataset says of itself."""
    described = description(plan)
    scans = preprocessed_splits(plan, "train", "validation")
    return scans + ([described] if described else [])


def teaching(plan: Plan, teacher: str, batch: str) -> dict[str, Any]:
    """Whitened images of a teacher's job, and its weights."""
    keys = sorted({key for pair in plan.teaching.batches(teacher)[batch] for key in pair})
    folder = plan.teaching.teachers[teacher].weights
    images = {"images": [plan.results.preproc(key) for key in keys]}
    return images | ({"weights": folder / _WEIGHTS} if folder else {})


def taught(plan: Plan, teacher: str, count: int) -> list[Path]:
    """The lists of the jobs that make a teacher's first so many pairs."""
    jobs = plan.teaching.batches_of(teacher, count)
    return [plan.results.taught(teacher, batch) for batch in jobs]


def training(plan: Plan, method: str) -> dict[str, Any]:
    """The arrays, further cohorts, a teacher's fields, and the weights that it begins with."""
    init, fields = plan.init(method), targets(plan, method)
    further = {"cohorts": list(plan.further_arrays.values())} if plan.further_arrays else {}
    return (
        {"arrays": plan.results.arrays}
        | further
        | ({"targets": fields} if fields else {})
        | ({"init": init / _WEIGHTS} if init else {})
    )


def registration(plan: Plan, method: str, batch: str) -> dict[str, Any]:
    """Whitened images of a job's scans, native labels and affines, and the weights."""
    keys, paths = plan.batch_keys(method, batch), plan.results
    labelled = [key for key in keys if plan.labelled(key)]
    files = {
        "images": [paths.preproc(key) for key in keys],
        "labels": [plan.scans[key].labels for key in labelled],
        "xfms": [paths.affine(key) for key in labelled],
        "template": [paths.template, paths.preproc(paths.space.key)],
    }
    return files | ({"weights": weights(plan, method)} if method in plan.learned else {})


def weights(plan: Plan, method: str) -> Path:
    """The weights of a learned method."""
    return plan.weights(method) / _WEIGHTS


def registered(plan: Plan) -> list[Path]:
    """The lists of registered pairs of every method, and of the maps of uncertainty."""
    lists = [plan.results.registered(m, batch) for m in plan.methods for batch in plan.batches(m)]
    maps = [plan.results.uncertain(m, batch) for m in plan.uncertain for batch in plan.batches(m)]
    return lists + maps


def scoring(plan: Plan, method: str, batch: str) -> dict[str, Any]:
    """The list of a job's pairs, and their scans on the template grid."""
    fixed = preprocessed(plan, plan.batch_keys(method, batch))
    return {"pairs": plan.results.registered(method, batch), "fixed": fixed}


def scored_parts(plan: Plan, method: str) -> list[Path]:
    """The tables of every job of a method."""
    if not plan.pairs:
        raise InputError("split.test", "no scan is tested", "name some, or ask for target train")
    folders = [plan.results.scored(method, batch) for batch in plan.batches(method)]
    return [folder / name for folder in folders for name in _TABLES]
