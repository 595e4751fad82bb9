"""Variants of a network, each trained for the same steps and measured on validation pairs.

    python benchmarks/ablation.py METHOD TRAINING_ARRAYS ARRAYS SCAN SCAN ... --steps 300 \\
        [--network-mm 3] [--variant 'PARAMETER=VALUE;PARAMETER=VALUE'] ...

Trains on all scans of TRAINING_ARRAYS (results/COHORT/train/arrays_res-1.safetensors), measures on
the ordered pairs of the named scans of ARRAYS, another pack or the same. A variant changes
parameters of the method's YAML (`network.finest=1;prior=[60,60,60]`).
Prints means: Dice of all labels, SDlogJ and folding in the fixed brain, seconds of a step.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from itertools import permutations
from pathlib import Path

import torch
import yaml
from refine import measure

from pmrpipe.files import read_json
from pmrpipe.methods.registry import MethodSpec, build, spec
from pmrpipe.methods.weights import MODEL, load_weights
from pmrpipe.train.arrays import open_arrays
from pmrpipe.train.fit import fit


def variant(found: MethodSpec, words: str, steps: int) -> MethodSpec:
    """The method with parameters from `network.finest=1;prior=[60,60,60]`, and its steps."""
    parameters = copy.deepcopy(found.parameters)
    for word in filter(None, words.split(";")):
        name, _, value = word.partition("=")
        *path, last = name.split(".")
        place = parameters
        for part in path:
            place = place[part]
        place[last] = yaml.safe_load(value)
    schedule = found.schedule.model_copy(update={"max_steps": steps, "max_minutes": None})
    return found.model_copy(update={"parameters": parameters, "schedule": schedule})


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
    torch.set_num_threads(options.threads)
    arrays, training = open_arrays(options.arrays), open_arrays(options.training).keys
    pairs = list(permutations(options.scans, 2))
    print("| variant | Dice | SDlogJ | folding, % | seconds a step |\n|---|---|---|---|---|")
    for words in options.variant or [""]:
        changed = variant(spec(options.method), words, options.steps)
        with tempfile.TemporaryDirectory() as folder:
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
            method = build(changed, options.network_mm)
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
