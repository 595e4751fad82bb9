"""Variants of a network, each trained for the same steps and measured on validation pairs.

    python benchmarks/ablation.py METHOD TRAINING_ARRAYS ARRAYS SCAN SCAN ... --steps 300 \\
        [--network-mm 3] [--variant 'PARAMETER=VALUE;PARAMETER=VALUE'] ...

Trains on all scans of TRAINING_ARRAYS (results/COHORT/train/arrays_res-1.safetensors), measures on
the ordered pairs of the named scans of ARRAYS, another pack or the same. A variant changes
parameters of the method's YAML (`network.finest=1;prior=[60,60,60]`), what its schedule augments
(`augmentation={flip: false, warp_mm: 0}`), or takes pmr-plus's symmetry away (`one-way`).
Prints means: Dice of all labels, SDlogJ and folding in the fixed brain, seconds of a step.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import permutations
from pathlib import Path
from unittest import mock

import torch
import yaml
from refine import measure
from torch import Tensor

from pmrpipe.base.files import read_json
from pmrpipe.base.malloc import keep_freed_memory
from pmrpipe.methods.load import build_network
from pmrpipe.methods.spec import MethodSpec, spec
from pmrpipe.methods.weights import MODEL, load_weights
from pmrpipe.networks import pyramid
from pmrpipe.stages.train.fit import fit
from pmrpipe.study.pack import open_arrays


def variant(method: MethodSpec, words: str, steps: int) -> MethodSpec:
    """The method with parameters from `network.finest=1;prior=[60,60,60]`, and its steps."""
    changed = method.model_dump()
    changed["schedule"] |= {"max_steps": steps, "max_minutes": None}
    for word in filter(None, words.split(";")):
        name, _, value = word.partition("=")
        *path, last = name.split(".")
        place = changed["schedule" if name == "augmentation" else "parameters"]
        for part in path:
            place = place[part]
        place[last] = yaml.safe_load(value)
    return MethodSpec.model_validate(changed)


def one_way(self: pyramid.SymmetricHead, moving: Tensor, fixed: Tensor) -> tuple[Tensor, Tensor]:
    """A head that never sees the images exchanged."""
    seen = [moving + fixed, fixed - moving]
    if self.reach:
        seen.append(pyramid.neighbour_correlation(moving, fixed, self.reach))
    features = self.body(torch.cat(seen, 1))
    return self.mean(features), self.log_variance(features)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("method")
    parser.add_argument("training", type=Path)
    parser.add_argument("arrays", type=Path)
    parser.add_argument("scans", nargs="+")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--network-mm", type=float)
    parser.add_argument("--variant", action="append", default=[])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=2019)
    options = parser.parse_args()
    keep_freed_memory(48)
    torch.set_num_threads(options.threads)
    arrays, training = open_arrays(options.arrays), open_arrays(options.training).keys
    pairs = list(permutations(options.scans, 2))
    print("| variant | Dice | SDlogJ | folding, % | seconds a step |\n|---|---|---|---|---|")
    for words in options.variant or [""]:
        changed = variant(spec(options.method), words.replace("one-way", ""), options.steps)
        forward = one_way if "one-way" in words else pyramid.SymmetricHead.forward
        with (
            mock.patch.object(pyramid.SymmetricHead, "forward", forward),
            tempfile.TemporaryDirectory() as folder,
        ):
            out = Path(folder)
            fit(
                changed,
                options.training,
                out,
                train=training,
                seed=options.seed,
                network_mm=options.network_mm,
                threads=options.threads,
                device="cpu",
            )
            method = build_network(changed, options.network_mm)
            load_weights(method, changed, out)
            seconds = 3600 * read_json(out / MODEL)["hours"] / options.steps
            row = measure(method.eval(), arrays, pairs)
        print(
            f"| {words or 'as shipped'} | {row['dice']:.4f} | {row['sdlogj']:.3f}"
            f" | {row['folding_percent']:.4f} | {seconds:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
