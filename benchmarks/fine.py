"""Fine voxels: what a level below 1 mm gains where the warp is known, and what it costs.

    python benchmarks/fine.py known FOLDER [--mm 0.5] [--pairs 1] [--threads 1]
    python benchmarks/fine.py blocks FOLDER [--mm 0.7]

FOLDER gets simulated heads of about `--mm` (0.45 to 0.7 mm at 0.5), and keeps them preprocessed.
`known` registers each pair by `pmrpipe.register` on a grid of 1 mm, on one of `--mm` optimised down
to 1 mm, and there down to its own voxels, each in a process of its own: mean, median and 95th
percentile over the fixed brain of the distance in mm to the true point; the processor's seconds of
the registration, and of everything after the preprocessing, files written; peak memory. `blocks`
compares the optimisation of the whole grid with that in blocks: largest and mean distance in mm of
their fields in the brain.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from pmrpipe.base.malloc import keep_freed_memory
from pmrpipe.base.seed import SEED
from pmrpipe.images.volume import Grid, read_mask
from pmrpipe.methods.load import load_method, shipped_weights
from pmrpipe.methods.refine import Refinement, refine
from pmrpipe.native import registration
from pmrpipe.native.registration import register
from pmrpipe.native.request import Scan, make_request
from pmrpipe.spatial.resize import resize_displacement
from pmrpipe.stages.cohort.embedded import simulate_subject, subject_name, write_dataset
from pmrpipe.stages.cohort.embedded.anatomy import anatomy
from pmrpipe.stages.cohort.embedded.deformation import random_deformation, transform_points

# Every so many voxels of the fixed scan, along each axis, are looked at.
_EVERY = 3
_METHOD, _STEPS = "pmr-plus", 20
_COLUMNS = ("mean", "median", "p95", "ncc", "sdlogj", "folding_percent")
_COLUMNS += ("seconds", "whole_seconds", "gb")


def scan_of(folder: Path, number: int, mm: float) -> Scan:
    """A simulated head with its true mask, made if it is not there."""
    root, name = folder / f"heads-{mm:g}", subject_name(number)
    path = root / name / "anat" / f"{name}_T1w.nii.gz"
    if not path.exists():
        write_dataset(root, number, mm)
        simulate_subject(root, number, mm)
    mask = root / "derivatives" / "truth" / name / "anat" / f"{name}_desc-brain_mask.nii.gz"
    return Scan(path, mask=mask)


def errors(forward: np.ndarray, grid: Grid, mask: np.ndarray, pair: tuple[int, int]) -> np.ndarray:
    """Distances in mm, (N,), of a field (X, Y, Z, 3) on the fixed scan's grid to the truth."""
    thin = np.zeros(grid.shape, bool)
    thin[::_EVERY, ::_EVERY, ::_EVERY] = True
    inside = thin & mask
    points = transform_points(grid.affine, np.argwhere(inside).T.astype(np.float32))
    moving, fixed = (
        random_deformation(np.random.default_rng([SEED, number, 0]), anatomy(1.0))
        for number in pair
    )
    missed = moving.to_subject(fixed.to_template(points)) - points - forward[inside].T
    return np.sqrt((missed**2).sum(0))


def peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def known(folder: Path, pair: tuple[int, int], mm: float, options: dict[str, Any]) -> None:
    """One registration in this process, as a line of JSON."""
    moving, fixed = (scan_of(folder, number, mm) for number in pair)
    began = time.process_time()
    # The clock of a shared machine says little.
    with patch.object(registration.time, "perf_counter", time.process_time):
        result = register(moving, fixed, folder / "out", cache=folder / "cache", **options)
    whole = time.process_time() - began
    memory = peak_gb()
    far = errors(result.forward, result.fixed_grid, read_mask(fixed.mask).data, pair)
    row = {"mean": far.mean(), "median": np.median(far), "p95": np.quantile(far, 0.95)}
    row |= {"seconds": result.facts["seconds"], "whole_seconds": whole, "gb": memory}
    row |= {name: result.facts[name] for name in _COLUMNS[3:6]}
    print(json.dumps({name: round(float(value), 4) for name, value in row.items()}))


def blocks(folder: Path, mm: float) -> None:
    """Whole and in blocks, from the same network's answer, down to the grid's own voxels."""
    scans = [scan_of(folder, number, mm) for number in (1, 2)]
    pair = prepared(folder, scans, mm)
    grid, images = pair[0].grid, [torch.from_numpy(v.data)[None, None] for v in pair]
    _, method = load_method(_METHOD, weights=shipped_weights(_METHOD))
    with torch.no_grad():
        start = method.register(*images, grid)
    fields = []
    for label, plan in (
        ("whole", Refinement(steps=_STEPS, finest=mm, whole=10**9)),
        ("blocks", Refinement(steps=_STEPS, finest=mm)),
    ):
        began = time.process_time()
        fields.append(
            resize_displacement(refine(*images, grid, start, plan).displacement, grid.shape)
        )
        print(f"{label}: {time.process_time() - began:.1f} s", flush=True)
    apart = mm * (fields[0] - fields[1]).square().sum(1).sqrt()[0][images[1][0, 0] > 0]
    print(f"apart in the brain: {apart.max():.6f} mm at most, {apart.mean():.7f} mm on average")


def prepared(folder: Path, scans: list[Scan], mm: float) -> list[Any]:
    """Both brains on the template grid, from the cache."""
    from pmrpipe.native.prepare import prepare

    request = make_request(*scans, None, {"cache": folder / "cache", "mm": mm})
    return [scan.preproc for scan in prepare(request, print)]


def rows(mm: float) -> dict[str, dict[str, Any]]:
    """Options of each row of `known`."""
    return {
        "1 mm": {"mm": 1.0, "refine_mm": 1.0},
        f"{mm:g} mm, down to 1 mm": {"mm": mm, "refine_mm": 1.0},
        f"{mm:g} mm, down to {mm:g} mm": {"mm": mm, "refine_mm": mm},
    }


def measured(words: argparse.Namespace, pair: tuple[int, int], options: dict[str, Any]) -> Any:
    """The row of one registration, in a process of its own."""
    said = json.dumps({"pair": pair, "mm": words.mm, "options": options})
    command = [sys.executable, __file__, "one", str(words.folder), "--said", said]
    done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout.splitlines()[-1])


def compare(words: argparse.Namespace) -> None:
    """Every row and pair; means over the pairs."""
    pairs = [(1 + 2 * n, 2 + 2 * n) for n in range(words.pairs)]
    print("| grid | " + " | ".join(_COLUMNS) + " |\n|" + "---|" * (1 + len(_COLUMNS)))
    for label, options in rows(words.mm).items():
        asked = {"threads": words.threads, "method": _METHOD, **options}
        table = []
        for pair in pairs:
            measured(words, pair, {**asked, "refine": 0})  # preprocesses
            table.append(measured(words, pair, {**asked, "refine": _STEPS}))
        means = [np.mean([row[column] for row in table]) for column in _COLUMNS]
        print(f"| {label} | " + " | ".join(f"{value:.4g}" for value in means) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("known", "blocks", "one"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mm", type=float)
    parser.add_argument("--pairs", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--said", type=json.loads, help=argparse.SUPPRESS)
    words = parser.parse_args()
    torch.set_num_threads(words.threads)
    keep_freed_memory()
    if words.what == "one":
        known(words.folder, tuple(words.said["pair"]), words.said["mm"], words.said["options"])
    elif words.what == "known":
        words.mm = words.mm or 0.5
        compare(words)
    else:
        blocks(words.folder, words.mm or 0.7)


if __name__ == "__main__":
    main()
