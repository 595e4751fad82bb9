"""Settings of instance optimisation on a cohort's validation pairs.

    python benchmarks/refine.py ARRAYS SCAN SCAN ... [--weights FOLDER] [--variant KEY=VALUE,...]

ARRAYS is the pack of a study (results/COHORT/train/arrays_res-1.safetensors), the scans are those
of its validation. From the affine normalisation or, with weights, from a network's answer. Each
variant changes fields of `Refinement` (`mm=8/4/2`). Prints means over the ordered pairs: Dice of
all labels, SDlogJ and folding in the fixed brain, seconds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from pmrpipe.base.files import read_json
from pmrpipe.base.malloc import keep_freed_memory
from pmrpipe.methods.classical import AffineOnly
from pmrpipe.methods.load import load_method
from pmrpipe.methods.protocols import Method
from pmrpipe.methods.refine import Refined, Refinement
from pmrpipe.methods.weights import MODEL
from pmrpipe.spatial.resize import resize_image
from pmrpipe.stages.train.validation import mean_dice
from pmrpipe.study.pack import Arrays, open_arrays


def plan(words: str) -> Refinement:
    """Fields from `steps=40,mm=8/4/2`."""
    changes: dict[str, Any] = {}
    for word in filter(None, words.split(",")):
        key, _, value = word.partition("=")
        kind = type(getattr(Refinement(), key))
        parts = tuple(float(n) for n in value.split("/"))
        changes[key] = parts if kind is tuple else kind(parts[0])
    return replace(Refinement(), **changes)


def measure(method: Method, arrays: Arrays, pairs: list[tuple[str, str]]) -> dict[str, float]:
    rows = []
    for moving, fixed in pairs:
        images = [arrays.image(key, arrays.grid.shape) for key in (moving, fixed)]
        began = time.perf_counter()
        deformation = method.register(*images, arrays.grid)
        seconds = time.perf_counter() - began
        determinant = deformation.jacobian()[0][
            resize_image(images[1], deformation.grid.shape)[0, 0] > 0
        ]
        maps = (arrays.dseg(key) for key in (fixed, moving))
        rows.append(
            {
                "dice": mean_dice(*maps, deformation, torch.tensor(arrays.labels)),
                "sdlogj": float(determinant.clamp(min=1e-3).log().std()),
                "folding_percent": 100 * float((determinant <= 0).float().mean()),
                "seconds": seconds,
            }
        )
    return {name: statistics.mean(row[name] for row in rows) for name in rows[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("arrays", type=Path)
    parser.add_argument("scans", nargs="+")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--variant", action="append", default=[])
    parser.add_argument("--most", type=int, help="of the pairs")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    arrays, start = open_arrays(options.arrays), AffineOnly()
    if options.weights:
        model = read_json(options.weights / MODEL)
        _, start = load_method(
            model["method"], weights=options.weights, network_mm=model["network_mm"]
        )
    pairs = [(a, b) for a in options.scans for b in options.scans if a != b][: options.most]
    methods: dict[str, Method] = {"not refined": start}
    methods |= {words or "as shipped": Refined(start, plan(words)) for words in options.variant}
    print("| settings | Dice | SDlogJ | folding, % | seconds |\n|---|---|---|---|---|")
    for name, method in methods.items():
        row = measure(method, arrays, pairs)
        print(
            f"| {name} | {row['dice']:.4f} | {row['sdlogj']:.3f} | {row['folding_percent']:.4f}"
            f" | {row['seconds']:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
