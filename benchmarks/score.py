"""Scoring: all labels of a pair against MONAI's DiceHelper, every metric of a pair, a large study.

    python benchmarks/score.py overlap [--repeats 3]
    python benchmarks/score.py pair [--repeats 3]
    python benchmarks/score.py summary

Prints seconds (medians), their ratio, and the largest memory.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

SHAPE, LABELS = (160, 192, 160), 130


def blocks(shift: int) -> np.ndarray:
    """A label map of 130 labels in blocks, shifted along x."""
    x, y, z = (np.arange(n) for n in SHAPE)
    cells = ((x[:, None, None] + shift) // 27) * 25 + (y[None, :, None] // 40) * 5 + z // 33
    return (cells % LABELS + 1).astype(np.int32)


def overlap(repeats: int) -> None:
    import torch
    from monai.metrics import DiceHelper

    from pmrpipe.metrics.overlap import label_overlap

    fixed, warped = blocks(0), blocks(5)
    tensors = [torch.from_numpy(map_)[None, None] for map_ in (warped, fixed)]
    monai = DiceHelper(include_background=False, num_classes=LABELS + 1, reduction="none")
    ours, theirs = [], []
    for _ in range(repeats):
        began = time.perf_counter()
        counted = label_overlap(fixed, warped)
        ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        expected = monai(*tensors)[0]
        theirs.append(time.perf_counter() - began)
    values = np.asarray(expected).ravel()
    np.testing.assert_allclose(counted.dice, values[: len(counted.dice)], atol=1e-6)
    one, other = statistics.median(ours), statistics.median(theirs)
    print(f"pmrpipe {one:.3f} s, MONAI DiceHelper {other:.3f} s, {other / one:.0f} times faster")


def pair(repeats: int) -> None:
    """Every metric of one pair, and the part of the deformation in it."""
    from scipy.ndimage import gaussian_filter

    from pmrpipe.images.volume import Volume
    from pmrpipe.metrics.deformation import deformation_statistics
    from pmrpipe.stages.score.pair import score_pair

    draw, axes = np.random.default_rng(0), (1.0, 1.0, 1.0, 0.0)
    labels, image = blocks(0), draw.random(SHAPE, np.float32)
    mask = blocks(0) <= LABELS // 2
    noise = draw.standard_normal((*SHAPE, 3)).astype(np.float32)
    field = sum(gaussian_filter(noise, [s * a for a in axes]) * s**1.5 * 4 for s in (3, 10))
    table = pd.DataFrame({"index": range(1, LABELS + 1), "name": "a", "region": "all", "scored": 1})
    volumes = Volume(labels, np.eye(4)), blocks(2), mask, Volume(image, np.eye(4)), image
    whole, deformation = [], []
    for _ in range(repeats):
        began = time.process_time()
        score_pair(*volumes, field, table)
        whole.append(time.process_time() - began)
        began = time.process_time()
        deformation_statistics(field, volumes[3].grid, mask)
        deformation.append(time.process_time() - began)
    print(f"{mask.sum()} voxels, {LABELS} labels: {statistics.median(whole):.2f} s a pair,")
    print(f"of which statistics of the deformation {statistics.median(deformation):.2f} s")


def summary(subjects: int = 40, methods: int = 6) -> None:
    from pmrpipe.metrics.summary import compare, summarise
    from pmrpipe.metrics.tables import (
        MethodScores,
        by_label_table,
        by_pair_table,
        read_scores,
        timing_table,
        write_scores,
    )
    from pmrpipe.study.labels import REGIONS
    from pmrpipe.study.paths import Results

    draw = np.random.default_rng(0)
    regions = list(REGIONS)
    pairs = list(itertools.permutations([f"sub-{n:02d}" for n in range(subjects)], 2))
    with tempfile.TemporaryDirectory() as folder:
        root = Results(Path(folder))
        for method in range(methods):
            by_pair, by_label = [], []
            for moving, fixed in pairs:
                names = {"moving": moving, "fixed": fixed}
                dice = draw.uniform(0.4, 0.8, 56)
                by_label += [
                    names | {"label": n + 1, "name": f"label {n}", "region": regions[n % 7]}
                    | {"dice": d, "target_overlap": d, "hd95_mm": 3, "msd_mm": 1}
                    | {"n_fixed": 9, "n_warped": 9}
                    for n, d in enumerate(dice)
                ]  # fmt: skip
                by_pair.append(
                    names | {"dice": dice.mean(), "hd95_mm": 3.0, "folding_percent": 0.0}
                    | {"ndv_percent": 0.0, "sdlogj": 0.2, "ncc": 0.9, "interpolation": "nearest"}
                    | {f"dice_{r}": dice[i::7].mean() for i, r in enumerate(regions)}
                )  # fmt: skip
            timing = [{"moving": m, "fixed": f, "seconds": 1.0} for m, f in pairs]
            tables = by_label_table(by_label), by_pair_table(by_pair, regions), timing_table(timing)
            write_scores(root.score(f"m{method}"), MethodScores(*tables))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.perf_counter()
        scores = {f"m{n}": read_scores(root.score(f"m{n}")) for n in range(methods)}
        table, differences = summarise(scores), compare(scores)
        seconds = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{len(pairs)} pairs x {methods} methods: {len(table)} + {len(differences)} rows,")
    print(f"{seconds:.1f} s, {memory / 1024:.0f} MB at most ({before / 1024:.0f} MB before)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["overlap", "pair", "summary"])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    pd.options.mode.copy_on_write = True
    if options.what == "summary":
        summary()
    else:
        {"overlap": overlap, "pair": pair}[options.what](options.repeats)
