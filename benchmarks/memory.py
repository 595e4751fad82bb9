"""Peak memory of a 1 mm pair whose weights are tuned: each method in a process of its own.

    python benchmarks/memory.py gradicon nephi [--mm 1] [--steps 2]

Untrained networks on two smooth random brains of 160x192x176 mm: memory depends on sizes alone.
Prints what the process held before (interpreter, libraries, images) and at most, and what autograd
keeps for one step, counted on torch's `meta` device, where nothing is computed.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys

import numpy as np
import torch
from torch import Tensor

from pmrpipe.images.volume import Grid
from pmrpipe.methods.batch import Batch
from pmrpipe.methods.finetune import Finetuned, Finetuning
from pmrpipe.methods.load import build_network
from pmrpipe.methods.spec import spec

_EDGES_MM = (160, 192, 176)
_MB = 2**20


def grid_of(mm: float) -> Grid:
    x, y, z = (round(edge / mm) for edge in _EDGES_MM)
    return Grid((x, y, z), np.diag([mm, mm, mm, 1.0]))


def brains(grid: Grid) -> tuple[Tensor, Tensor]:
    """Smooth noise in an ellipsoid, (1, 1, X, Y, Z) each."""
    torch.manual_seed(0)
    coarse = torch.rand(2, 1, *(n // 4 for n in grid.shape))
    noise = torch.nn.functional.interpolate(coarse, grid.shape, mode="trilinear")
    axes = [torch.linspace(-1.2, 1.2, n) for n in grid.shape]
    inside = sum(a.square() for a in torch.meshgrid(*axes, indexing="ij")) < 1
    moving, fixed = (noise * inside).split(1)
    return moving.contiguous(), fixed.contiguous()


def kept_mb(name: str, mm: float) -> float:
    """Megabytes of activations that autograd keeps for one step, weights left out."""
    grid = grid_of(mm)
    method = build_network(spec(name), network_mm=mm).to("meta").eval()
    image = torch.empty(1, 1, *grid.shape, device="meta")
    method = method.for_pair(image, image)
    storages = {}

    def keep(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        storages[storage._cdata] = storage  # held, so that no address is used again
        return value

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        total = method.objective(Batch(image, image, grid))["total"]
    weights = {p.untyped_storage()._cdata for p in method.parameters()}
    assert total.is_meta
    return sum(s.nbytes() for key, s in storages.items() if key not in weights) / _MB


def held_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def child(name: str, mm: float, steps: int) -> None:
    torch.set_num_threads(1)
    grid = grid_of(mm)
    moving, fixed = brains(grid)
    method = build_network(spec(name), network_mm=mm).eval()
    before = held_mb()
    Finetuned(method, Finetuning(steps=steps)).register(moving, fixed, grid)
    print(f"{before:.0f} | {held_mb():.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("methods", nargs="+")
    parser.add_argument("--mm", type=float, default=1.0)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--counted", action="store_true", help="count alone, measure nothing")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return child(options.methods[0], options.mm, options.steps)
    print("| method | before, MB | peak, MB | kept for a step, MB |\n|---|---|---|---|")
    for name in options.methods:
        words = [name, "--mm", str(options.mm), "--steps", str(options.steps), "--child"]
        measured = "- | -"
        if not options.counted:
            command = [sys.executable, __file__, *words]
            measured = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout
        print(f"| {name} | {measured.strip()} | {kept_mb(name, options.mm):.0f} |", flush=True)


if __name__ == "__main__":
    main()
