"""A made-up result folder: deformed template brains, block labels, methods of known quality."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from pmrpipe.base.files import write_json, write_text, write_tsv
from pmrpipe.images.resampling import resample, sample_points
from pmrpipe.images.transforms import write_field
from pmrpipe.images.volume import Grid, Volume, write_volume
from pmrpipe.metrics import tables
from pmrpipe.metrics.sidecar import sidecar
from pmrpipe.metrics.summary import compare, summarise
from pmrpipe.stages.report.collect import MethodInfo
from pmrpipe.stages.score.pair import score_pair
from pmrpipe.study.labels import REGIONS
from pmrpipe.study.paths import Results
from pmrpipe.study.regions import region_labels
from pmrpipe.study.space import template_brain, template_grid

LABELS = pd.DataFrame(
    {
        "index": np.arange(1, 17),
        "name": [f"block {n}" for n in range(1, 17)],
        "region": [*np.repeat(REGIONS, 2), np.nan, np.nan],
        "scored": 1,
    }
)
# How much of the way from the moving to the fixed brain each method goes.
QUALITY = {"affine": 0.0, "syn": 0.75, "pmr": 0.6, "pmr-cc": 0.9}
METHODS = [
    MethodInfo("affine", "Affine alone", "", "classical"),
    MethodInfo("syn", "ANTs SyN", "Avants et al. Med. Image Anal. 12 (2008) 26.", "classical"),
    MethodInfo("pmr", "PMR", "Liu et al. MICCAI (2019), arXiv 1907.01922.", "learned"),
    MethodInfo("pmr-cc", "PMR, correlation", "Liu et al. MICCAI (2019).", "learned"),
]


def make_study(
    root: Path,
    mm: float = 8.0,
    subjects: int = 3,
    methods: Mapping[str, float] = QUALITY,
    labelled: bool = True,
    trained: bool = True,
    pictures: bool = True,
) -> Results:
    """Write a result folder; every file that the report may read, by the library's own writers."""
    results = Results(root, mm)
    keys = [f"sub-{n:02d}" for n in range(1, subjects + 1)]
    scans = {key: _scan(n, mm) for n, key in enumerate(keys)}
    for key, (image, labels, _) in scans.items() if pictures else ():
        write_volume(results.preproc(key), image, template_grid(mm).affine, np.float32)
        if labelled:
            write_volume(results.dseg(key), labels, template_grid(mm).affine, np.int16)
    scores = {m: _register(results, m, q, scans, labelled, pictures) for m, q in methods.items()}
    write_tsv(results.summary, summarise(scores, draws=200))
    write_tsv(results.summary.with_name("comparison.tsv"), compare(scores, draws=200))
    _write_cohort(results, keys, labelled)
    for n, name in enumerate(methods if trained else ()):
        if name.startswith("pmr"):
            _write_training(results, name, n)
    return results


@cache
def _scan(number: int, mm: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image in [0, 1], labels, and the displacement to the template, of one subject."""
    grid = template_grid(mm)
    rng = np.random.default_rng(number)
    field = sum(
        gaussian_filter(rng.standard_normal((*grid.shape, 3)), (*[scale / mm] * 3, 0))
        * size * (scale / mm) ** 1.5
        for scale, size in ((30, 11), (12, 7))
    ).astype(np.float32)  # fmt: skip
    brain = template_brain(mm)
    points = sample_points(grid, field=(field, grid))
    image = resample(brain, points)
    labels = resample(Volume(_blocks(brain), grid.affine), points, "nearest")
    noise = 0.02 * rng.standard_normal(grid.shape)
    return np.clip(image + noise * (image > 0.05), 0, 1) * (image > 0.05), labels, field


def _blocks(brain: Volume) -> np.ndarray:
    """Sixteen compact labels inside the brain: two sides times eight boxes."""
    x, y, z = (i / (n - 1) for i, n in zip(np.indices(brain.shape), brain.shape, strict=True))
    boxes = np.minimum((y * 4).astype(int), 3) * 2 + (z > 0.5)
    labels = 2 * boxes + (x > 0.5) + 1
    shell = (brain.data > 0.1) & (np.abs(x - 0.5) > 0.04)
    return np.where(shell, labels, 0).astype(np.int32)


def _register(
    results: Results, method: str, quality: float, scans: dict, labelled: bool, pictures: bool
) -> tables.MethodScores:
    grid = template_grid(results.mm)
    rows, pairs, timing = [], [], []
    table = LABELS if labelled else None
    for moving, (image, labels, own) in scans.items():
        for fixed, (target, fixed_labels, other) in scans.items():
            if moving == fixed:
                continue
            field = quality * (other - own) if quality else None
            points = sample_points(grid, field=None if field is None else (field, grid))
            warped = resample(Volume(image, grid.affine), points)
            dseg = resample(Volume(labels, grid.affine), points, "nearest")
            if pictures:
                _write_pair(results, method, moving, fixed, warped, dseg, field, grid, labelled)
            by_label, pair = score_pair(
                Volume(fixed_labels, grid.affine) if labelled else None, dseg, target > 0,
                Volume(target, grid.affine), warped, field, table, moving=moving, fixed=fixed,
                moving_image=image,
            )  # fmt: skip
            rows += by_label
            pairs.append(pair)
            seconds = {"affine": 0.4, "syn": 41.0}.get(method, 2.5) + 0.01 * len(pairs)
            timing.append({"moving": moving, "fixed": fixed, "seconds": seconds, "device": "cpu"})
    if method.startswith("pmr") and pictures:
        listed = [{"moving": p["moving"], "fixed": p["fixed"], "sd_mean_mm": 0.25} for p in pairs]
        listed.append({"moving": "sub-98", "fixed": "sub-99", "sd_mean_mm": 9.0})
        write_tsv(results.uncertain(method, "1of1"), pd.DataFrame(listed))
    scores = tables.MethodScores(
        tables.by_label_table(rows),
        tables.by_pair_table(pairs, region_labels(LABELS) if labelled else ()),
        tables.timing_table(timing),
        sidecar(table, grid, interpolation="nearest", split={"test": list(scans)}),
    )
    tables.write_scores(results.score(method), scores)
    return scores


def _write_pair(
    results: Results,
    method: str,
    moving: str,
    fixed: str,
    warped,
    dseg,
    field,
    grid: Grid,
    labelled,
) -> None:
    write_volume(results.warped(method, moving, fixed), warped, grid.affine, np.float32)
    if labelled:
        write_volume(results.warped_dseg(method, moving, fixed), dseg, grid.affine, np.int16)
    if field is None:
        return
    # Learned methods leave their field on their own, coarser grid.
    coarse = grid.rescaled(2 * results.mm) if method.startswith("pmr") else grid
    points = sample_points(coarse, field=(field, grid)) - sample_points(coarse)
    write_field(results.field(method, moving, fixed), points.astype(np.float32), coarse)
    if method.startswith("pmr"):
        _write_extras(results, method, (moving, fixed), field, grid)


def _write_extras(
    results: Results, method: str, pair: tuple[str, str], field: np.ndarray, grid: Grid
) -> None:
    """Uncertainty of a tenth of the displacement; for `pmr` two levels, each half of it."""
    deviation = 0.1 * np.linalg.norm(field, axis=-1)
    write_volume(results.uncertainty(method, *pair), deviation, grid.affine, np.float32)
    for level in (1, 2) if method == "pmr" else ():
        write_field(results.level_field(method, *pair, level), 0.5 * field, grid)


def _write_cohort(results: Results, keys: list[str], labelled: bool) -> None:
    rows = [
        {"key": key, "subject": key, "labels": "dseg.nii.gz" if labelled else None, "split": "test"}
        for key in keys
    ]
    rows += [{"key": f"sub-{n}", "subject": f"sub-{n}", "split": "train"} for n in (91, 92)]
    rows.append({"key": "sub-99", "subject": "sub-99", "excluded": "moved during the scan"})
    columns = ["key", "subject", "labels", "split", "excluded"]
    write_tsv(results.cohort, pd.DataFrame(rows, columns=columns))
    for stage, seconds in {"preprocess": 31.5, "register": 250.0}.items():
        text = f"s\th:m:s\tmax_rss\n{seconds}\t0:00:31\t812.3\n"
        write_text(results.root / "timings" / stage / "a.tsv", text)


def _write_training(results: Results, name: str, seed: int) -> None:
    steps = np.arange(0, 1001, 50)
    noise = np.random.default_rng(seed).normal(0, 0.01, len(steps))
    history = pd.DataFrame(
        {
            "step": steps,
            "total": 5 * np.exp(-steps / 300) + 3 * noise + seed,
            "val_dice": 0.7 - 0.2 * np.exp(-steps / 400) + noise,
        }
    )
    write_tsv(results.training(name) / "history.tsv", history)
    write_json(results.training(name) / "model.json", json.loads('{"method": "pmr"}'))
