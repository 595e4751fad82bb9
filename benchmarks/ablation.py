"""Variants of a network, each trained for the same steps and measured on validation pairs.

    python benchmarks/ablation.py METHOD TRAINING_ARRAYS ARRAYS SCAN SCAN ... --steps 300 \\
        [--network-mm 3] [--variant 'PARAMETER=VALUE;PARAMETER=VALUE'] ... [--out FOLDER]

Trains on all scans of TRAINING_ARRAYS (results/COHORT/train/arrays_res-1.safetensors) or those of
--train, measures on the ordered pairs of the named scans of ARRAYS, another pack or the same. A
variant changes parameters of the method's YAML (`network.finest=1;prior=[60,60,60]`), what its
schedule augments (`augmentation={flip: false, warp_mm: 0}`), or takes pmr-plus's symmetry away
(`one-way`). Prints means over the pairs of what the workflow's scoring says, and seconds of a step.
With --out the weights stay, one folder for each variant and seed: the same command goes on from
checkpoints, and what is trained is only measured.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from itertools import permutations
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import yaml
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent))

from frontier import COLUMNS, measured, scored_labels

from pmrpipe.base.files import read_json
from pmrpipe.base.malloc import keep_freed_memory
from pmrpipe.methods.load import build_network
from pmrpipe.methods.protocols import Method
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


def one_way(
    self: pyramid.SymmetricHead, moving: Tensor, fixed: Tensor, *force: Tensor
) -> tuple[Tensor, Tensor]:
    """A head that never sees the images exchanged."""
    seen = [moving + fixed, fixed - moving]
    if self.reach:
        seen.append(pyramid.neighbour_correlation(moving, fixed, self.reach))
    features = self.body(torch.cat([*seen, *force], 1))
    return self.mean(features), self.log_variance(features)


def trained(method: MethodSpec, forward: Any, out: Path, options: argparse.Namespace) -> Method:
    """The method with the weights in `out`, which are made where they are not there."""
    every = open_arrays(options.training).keys
    with mock.patch.object(pyramid.SymmetricHead, "forward", forward):
        if not (out / MODEL).exists():
            fit(
                method,
                options.training,
                out,
                train=[f"sub-{name}" for name in options.train] or every,
                seed=options.seed,
                network_mm=options.network_mm,
                threads=options.threads,
                device="cpu",
            )
        network = build_network(method, options.network_mm)
        load_weights(network, method, out)
    return network.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("method")
    parser.add_argument("training", type=Path)
    parser.add_argument("arrays", type=Path)
    parser.add_argument("scans", nargs="+")
    parser.add_argument("--train", nargs="+", default=[], help="subjects of TRAINING_ARRAYS")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--network-mm", type=float)
    parser.add_argument("--variant", action="append", default=[])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=2019)
    parser.add_argument("--out", type=Path, help="where weights and checkpoints stay")
    options = parser.parse_args()
    keep_freed_memory(48)
    torch.set_num_threads(options.threads)
    arrays = open_arrays(options.arrays)
    labels = scored_labels(arrays)
    names = COLUMNS[4:-2]
    print(f"| variant | {' | '.join(names)} | seconds a step |\n|{'---|' * (len(names) + 2)}")
    for words in options.variant or [""]:
        changed = variant(spec(options.method), words.replace("one-way", ""), options.steps)
        forward = one_way if "one-way" in words else pyramid.SymmetricHead.forward
        label = words or "as shipped"
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder)
            if options.out:
                out = options.out / f"{label.replace('/', '_')}_seed-{options.seed}"
            method = trained(changed, forward, out, options)
            seconds = 3600 * read_json(out / MODEL)["hours"] / options.steps
        with mock.patch.object(pyramid.SymmetricHead, "forward", forward):
            pairs = permutations(options.scans, 2)
            rows = [measured(method, arrays, *pair, labels)[: len(names)] for pair in pairs]
        means = " | ".join(f"{mean:.4f}" for mean in np.mean(rows, 0))
        print(f"| {label} | {means} | {seconds:.2f} |", flush=True)


if __name__ == "__main__":
    main()
