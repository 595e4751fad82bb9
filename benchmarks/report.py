"""The report page of a large study: seconds, memory and size.

    python benchmarks/report.py [--subjects 40] [--methods 6] [--mm 1] [--workers 2] [--json]

Score tables of all ordered pairs are made up; the pairs that are shown have images, labels,
fields, uncertainty and level fields at `--mm`. Only the building of the page is timed, by the clock
and by the processor (all processes together); the memory is the largest of one process.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pmrpipe.base.files import write_text, write_tsv
from pmrpipe.images.resampling import resample, sample_points
from pmrpipe.images.transforms import write_field
from pmrpipe.images.volume import Grid, Volume, write_volume
from pmrpipe.metrics import tables
from pmrpipe.metrics.choice import choose_pairs
from pmrpipe.metrics.summary import compare, summarise
from pmrpipe.stages.report.collect import MethodInfo
from pmrpipe.stages.report.page import build_report
from pmrpipe.study.labels import REGIONS
from pmrpipe.study.paths import Results
from pmrpipe.study.space import template_brain, template_grid

COUNT, KINDS, LEVELS = 56, 3, 4
LABELS = pd.DataFrame(
    {
        "index": np.arange(1, COUNT + 1),
        "name": [f"label {n}" for n in range(1, COUNT + 1)],
        "region": [list(REGIONS)[n % len(REGIONS)] for n in range(COUNT)],
        "scored": 1,
    }
)


def made_up_scores(results: Results, methods: list[str], keys: list[str]) -> dict[str, Any]:
    """Tables of every ordered pair by every method, and what the score stage makes of them."""
    draw, columns = np.random.default_rng(0), {}
    pairs = list(itertools.permutations(keys, 2))
    regions, named = list(REGIONS), LABELS[["index", "name", "region"]]
    for method in methods:
        dice = draw.uniform(0.4, 0.8, (len(pairs), COUNT)).round(6)
        parts = pd.DataFrame(np.repeat(pairs, COUNT, axis=0), columns=["moving", "fixed"])
        repeated = pd.concat([named] * len(pairs), ignore_index=True)
        by_label = parts.assign(
            label=repeated["index"], name=repeated["name"], region=repeated["region"],
            dice=dice.ravel(), target_overlap=dice.ravel(), hd95_mm=3.0, msd_mm=1.0,
            n_fixed=900, n_warped=900,
        )  # fmt: skip
        by_pair = pd.DataFrame(pairs, columns=["moving", "fixed"])
        by_pair = by_pair.reindex(columns=tables.by_pair_columns(regions)).assign(
            dice=dice.mean(1), hd95_mm=draw.uniform(2, 6, len(pairs)),
            folding_percent=draw.exponential(1e-3, len(pairs)), ndv_percent=0.01, sdlogj=0.2,
            ncc=draw.uniform(0.8, 0.95, len(pairs)), interpolation="nearest",
            **{f"dice_{r}": dice[:, n :: len(regions)].mean(1) for n, r in enumerate(regions)},
        )  # fmt: skip
        timing = by_pair[["moving", "fixed"]].assign(seconds=draw.uniform(1, 2, len(pairs)))
        columns[method] = tables.MethodScores(by_label, by_pair, timing)
        tables.write_scores(results.score(method), columns[method])
        steps = np.arange(0, 2001, 20)
        history = {"step": steps, "total": np.exp(-steps / 500), "val_dice": 0.6 + steps / 1e4}
        write_tsv(results.training(method) / "history.tsv", pd.DataFrame(history))
        for batch in range(len(pairs) // 20):
            text = "s\th:m:s\tmax_rss\n30\t0:00:30\t812.3\n"
            write_text(results.root / "timings" / "register" / method / f"{batch}.tsv", text)
    write_tsv(results.summary, summarise(columns))
    write_tsv(results.summary.with_name("comparison.tsv"), compare(columns))
    return columns


def made_up_pictures(results: Results, scores: dict[str, Any], mm: float) -> None:
    """Files of the shown pairs: a few different ones, linked to where the report looks."""
    draw, store = np.random.default_rng(1), results.root / "store"
    grid, brain = template_grid(mm), template_brain(mm)
    coarse = {size: grid.rescaled(max(size, mm)) for size in (2.0, 4.0)}
    labels = _boxes(brain)
    for kind in range(KINDS):
        values, own = _smooth_field(draw, coarse[4.0]), coarse[4.0]
        points = sample_points(grid, field=(values, own))
        image = resample(brain, points) + 0.02 * draw.standard_normal(grid.shape)
        image = np.clip(image, 0, 1) * (resample(brain, points) > 0.05)
        write_volume(store / f"image{kind}.nii.gz", image, grid.affine, np.float32)
        dseg = resample(Volume(labels, grid.affine), points, "nearest")
        write_volume(store / f"dseg{kind}.nii.gz", dseg, grid.affine, np.int16)
        finer = sample_points(coarse[2.0], field=(values, own)) - sample_points(coarse[2.0])
        write_field(store / f"field{kind}.nii.gz", finer.astype(np.float32), coarse[2.0])
        write_field(store / f"level{kind}.nii.gz", values / LEVELS, own)
        spread = np.linalg.norm(points - sample_points(grid), axis=-1) / 5
        write_volume(store / f"spread{kind}.nii.gz", spread, grid.affine, np.float32)
    for method, numbers in scores.items():
        for _, moving, fixed, _ in choose_pairs(numbers.by_pair):
            for n, key in enumerate((moving, fixed)):
                _link(store / f"image{n}.nii.gz", results.preproc(key))
                _link(store / f"dseg{n}.nii.gz", results.dseg(key))
            pair = method, moving, fixed
            _link(store / "image2.nii.gz", results.warped(*pair))
            _link(store / "dseg2.nii.gz", results.warped_dseg(*pair))
            _link(store / "field2.nii.gz", results.field(*pair))
            _link(store / "spread2.nii.gz", results.uncertainty(*pair))
            for level in range(1, LEVELS + 1):
                _link(store / f"level{level % KINDS}.nii.gz", results.level_field(*pair, level))


def _boxes(brain: Volume) -> np.ndarray:
    """Labels of the brain in boxes."""
    x, y, z = (i * n // s for i, n, s in zip(np.indices(brain.shape), (4, 7, 2), brain.shape,
                                             strict=True))  # fmt: skip
    return np.where(brain.data > 0.3, x * 14 + y * 2 + z + 1, 0).astype(np.int32)


def _smooth_field(draw: np.random.Generator, grid: Grid) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(draw.standard_normal((*grid.shape, 3)), (4, 4, 4, 0))
    return (4 * noise / noise.std()).astype(np.float32)


def _link(source: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        os.link(source, path)


def measure(folder: Path, subjects: int, methods: int, mm: float, workers: int) -> dict[str, float]:
    """Seconds, peak MB of a process and MB of the page; and what it was made from."""
    results = Results(folder, mm)
    names = [f"method-{n}" for n in range(1, methods + 1)]
    keys = [f"sub-{n:02d}" for n in range(1, subjects + 1)]
    scores = made_up_scores(results, names, keys)
    made_up_pictures(results, scores, mm)
    began, worked = time.perf_counter(), _processor_seconds()
    infos = [MethodInfo(name, name, f"Citation {name}", "learned") for name in names]
    build_report(
        results,
        results.report,
        methods=infos,
        title="large",
        label_table=LABELS,
        workers=workers,
    )
    seconds = time.perf_counter() - began
    peaks = [resource.getrusage(who).ru_maxrss for who in _WHO]
    return {
        "pairs": len(scores[names[0]].by_pair),
        "methods": methods,
        "seconds": round(seconds, 1),
        "processor_seconds": round(_processor_seconds() - worked, 1),
        "memory_mb": round(max(peaks) / 1024),
        "page_mb": round(results.report.stat().st_size / 1e6, 1),
    }


_WHO = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN


def _processor_seconds() -> float:
    used = [resource.getrusage(who) for who in _WHO]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", type=int, default=40)
    parser.add_argument("--methods", type=int, default=6)
    parser.add_argument("--mm", type=float, default=1.0)
    parser.add_argument("--workers", type=int, default=2, help="processes that draw")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        sizes = measure(Path(made), options.subjects, options.methods, options.mm, options.workers)
    if options.json:
        print(json.dumps(sizes))
    else:
        print("{pairs} pairs x {methods} methods: {seconds} s".format(**sizes))
        print("({processor_seconds} s of the processor), {memory_mb} MB, ".format(**sizes), end="")
        print("page of {page_mb} MB".format(**sizes))
