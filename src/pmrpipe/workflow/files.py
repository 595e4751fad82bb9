"""Which files each job of a study reads: functions of a plan and of a job's wildcards."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pmrpipe.base.errors import InputError
from pmrpipe.study.keys import T1W, contrast_of
from pmrpipe.workflow.commands import description, extraction_files, targets
from pmrpipe.workflow.plan import Plan

_TABLES = ("by_label.tsv", "by_pair.tsv", "timing.tsv")
_WEIGHTS = "weights.safetensors"


def raw_scan(plan: Plan, key: str) -> dict[str, Path]:
    """The scan as it comes, and the files that its brain extraction needs."""
    scan = plan.scans[key]
    return {"t1w": scan.image} | extraction_files(plan, scan) | lesion(plan, key)


def lesion(plan: Plan, key: str) -> dict[str, Path]:
    """The lesion mask of a scan that has one."""
    path = plan.scans[key].lesion
    return {} if path is None else {"lesion": path}


def whole_scan(plan: Plan, key: str) -> dict[str, Any]:
    """The same for a job of all steps: what it takes of the T1w of the scan's session too."""
    scan, paths = plan.scans[key], plan.results
    if scan.through is None:
        return dict(raw_scan(plan, key))
    t1w = [paths.brain(scan.through), paths.mask(scan.through), paths.affine(scan.through)]
    mask = {"mask": scan.mask} if scan.brain == "mask" else {}
    return {"t1w": scan.image, "session": t1w} | mask | lesion(plan, key)


def coregistration(plan: Plan, key: str) -> dict[str, Path]:
    """The scan as it comes, and the brain of its session's T1w."""
    scan, paths = plan.scans[key], plan.results
    assert scan.through is not None, f"{key} goes through no T1w"
    return {
        "scan": scan.image,
        "brain": paths.brain(scan.through),
        "mask": paths.mask(scan.through),
    }


def normalisation(plan: Plan, key: str) -> dict[str, Path]:
    """The brain with isotropic voxels, the template, and what a scan goes through."""
    through, paths = plan.scans[key].through, plan.results
    files = {"brain": paths.resampled(key), "template": paths.template} | lesion(plan, key)
    if through is None:
        return files
    return files | {"rigid": paths.rigid(key), "t1w_affine": paths.affine(through)}


def whitening(plan: Plan, key: str) -> dict[str, Path]:
    """The brain with its mask and affine, and the template."""
    paths = plan.results
    files = {"brain": paths.brain(key), "mask": paths.mask(key), "xfm": paths.affine(key)}
    return files | {"template": paths.template} | lesion(plan, key)


def raw_labels(plan: Plan, key: str) -> dict[str, Path | None]:
    """The label map as it comes, and the scan that it belongs to."""
    return {"labels": plan.scans[key].labels, "t1w": plan.label_scan(key).image}


def labels(plan: Plan, key: str) -> dict[str, Any]:
    """The same with the affine of that scan, and the template."""
    affine = plan.results.affine(plan.label_scan(key).key)
    return {**raw_labels(plan, key), "xfm": affine, "template": plan.results.template}


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
    scans += preprocessed(plan, [scan.key for scan in plan.cohort.beside])
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
        "xfms": [paths.affine(plan.label_scan(key).key) for key in labelled],
        "template": [paths.template, paths.preproc(paths.space.key)],
    }
    lesions = [plan.scans[key].lesion for key in keys if plan.scans[key].lesion]
    if lesions:
        files["lesions"] = lesions + [paths.affine(key) for key in keys if plan.scans[key].lesion]
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
    keys, paths = plan.batch_keys(method, batch), plan.results
    files = {"pairs": paths.registered(method, batch), "fixed": preprocessed(plan, keys)}
    # Their cover: outside of it nothing is scored.
    others = [key for key in keys if contrast_of(key) != T1W]
    cover = [path for key in others for path in (paths.brain(key), paths.affine(key))]
    return files | ({"cover": cover} if cover else {})


def scored_parts(plan: Plan, method: str) -> list[Path]:
    """The tables of every job of a method."""
    if not plan.pairs:
        raise InputError("split.test", "no scan is tested", "name some, or ask for target train")
    folders = [plan.results.scored(method, batch) for batch in plan.batches(method)]
    return [folder / name for folder in folders for name in _TABLES]
