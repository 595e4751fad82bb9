"""Seconds a pair against the number of devices: threads of a processor, or GPUs.

    python benchmarks/devices.py STUDY --methods quicksilver --threads 1 2 [--pairs 4]
    python benchmarks/devices.py STUDY --methods quicksilver --gpus 1 2 4

The study's scans are preprocessed and its networks trained. Pairs are registered from images in
memory to maps in memory, after one that does not count. On several GPUs each has a process of its
own with a copy of the network, and the pairs are dealt out: seconds are those of all pairs divided
by their number, without start-up. Writes score/devices.tsv, which the report draws.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from itertools import pairwise
from multiprocessing import get_context
from typing import Any

import pandas as pd

from pmrpipe.base.files import read_tsv, write_tsv
from pmrpipe.study.config import load
from pmrpipe.workflow.plan import Plan

COLUMNS = ["method", "device", "number", "pairs", "seconds_median"]
Pair = tuple[str, str]


def registered(study: str, method: str, pairs: Sequence[Pair], device: str, threads: int) -> Any:
    """Seconds of each pair after one that does not count, when they began, and when they ended."""
    import torch

    from pmrpipe.images.volume import read_image
    from pmrpipe.methods.load import load_method

    torch.set_num_threads(threads)
    plan = Plan(load(study))
    folder = plan.weights(method) if method in plan.learned else None
    argument, mm = plan.spec_argument(method), plan.network_mm(method)
    _, chosen = load_method(argument, weights=folder, network_mm=mm, device=device)
    images = {key: read_image(plan.results.preproc(key)) for pair in pairs for key in pair}
    marks = [time.time()]
    for moving, fixed in [pairs[0], *pairs]:
        tensors = (
            torch.from_numpy(images[key].data)[None, None].to(device) for key in (moving, fixed)
        )
        with torch.no_grad():
            chosen.register(*tensors, images[fixed].grid)
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        marks.append(time.time())
    return [end - start for start, end in pairwise(marks[1:])], marks[1], marks[-1]


def on_threads(study: str, method: str, pairs: Sequence[Pair], threads: int) -> dict[str, Any]:
    """A row of the table: one process with so many threads."""
    with get_context("spawn").Pool(1) as pool:
        seconds, *_ = pool.apply(registered, (study, method, pairs, "cpu", threads))
    return _row(method, "cpu", threads, pairs, statistics.median(seconds))


def on_gpus(study: str, method: str, pairs: Sequence[Pair], gpus: int) -> dict[str, Any]:
    """A row of the table: a process for each GPU, which gets each n-th pair."""
    jobs = [(study, method, pairs[n::gpus], f"cuda:{n}", 1) for n in range(gpus)]
    with get_context("spawn").Pool(gpus) as pool:
        done = pool.starmap(registered, jobs)
    began, ended = min(one[1] for one in done), max(one[2] for one in done)
    return _row(method, "cuda", gpus, pairs, (ended - began) / len(pairs))


def _row(
    method: str, device: str, number: int, pairs: Sequence[Pair], seconds: float
) -> dict[str, Any]:
    values = (method, device, number, len(pairs), seconds)
    return dict(zip(COLUMNS, values, strict=True))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", help="configuration of a study whose networks are trained")
    parser.add_argument("--methods", nargs="+", required=True)
    parser.add_argument("--pairs", type=int, default=4, help="how many of the study's pairs")
    parser.add_argument("--threads", type=int, nargs="*", default=[])
    parser.add_argument("--gpus", type=int, nargs="*", default=[])
    options = parser.parse_args()
    plan = Plan(load(options.study))
    chosen = plan.pairs[: options.pairs]
    rows = [
        measure(options.study, method, chosen, number)
        for method in options.methods
        for measure, numbers in ((on_threads, options.threads), (on_gpus, options.gpus))
        for number in numbers
    ]
    made = pd.DataFrame(rows, columns=COLUMNS)
    if plan.results.devices.exists():
        before = read_tsv(plan.results.devices, tuple(COLUMNS))
        made = pd.concat([before, made]).drop_duplicates(COLUMNS[:3], keep="last")
    write_tsv(plan.results.devices, made)
    print(made.to_string(index=False))
