"""Errors in millimetres where the truth is known: the same brain, and a brain warped by a field.

    python benchmarks/known.py ARRAYS SCAN ... [--method pmr-plus] [--refine 20] [--refine-mm 2 1]

ARRAYS is the pack of a study (results/COHORT/train/arrays_res-1.safetensors). Every scan is
registered to itself, and to itself after a smooth random warp and noise of 2 % of the range. Means
over the scans of the distance, in mm, between the displacement found and the true one in the
fixed brain; `before` is that of no displacement. Networks with the weights that are shipped.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import torch
from torch import Tensor

from pmrpipe.base.malloc import keep_freed_memory
from pmrpipe.images.volume import Grid
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.load import load_method, shipped_weights
from pmrpipe.methods.protocols import Method
from pmrpipe.methods.refine import Refined, Refinement
from pmrpipe.methods.spec import spec
from pmrpipe.spatial.integrate import integrate
from pmrpipe.spatial.jacobian import jacobian_determinant
from pmrpipe.spatial.resize import resize_displacement
from pmrpipe.spatial.warp import warp
from pmrpipe.study.pack import open_arrays

# Deviation of the velocity, mm, on a grid of knots this far apart.
_SIZE_MM, _KNOTS_MM = 5.0, 20.0
_NOISE = 0.02


def known_warp(grid: Grid, seed: int) -> tuple[Tensor, Tensor]:
    """A random diffeomorphism and its inverse, displacements (1, 3, X, Y, Z) in voxels."""
    generator = torch.Generator().manual_seed(seed)
    knots = grid.rescaled(_KNOTS_MM)
    velocity = torch.randn(1, 3, *knots.shape, generator=generator) * _SIZE_MM / _KNOTS_MM
    velocity = resize_displacement(velocity, grid.shape)
    return integrate(velocity), integrate(-velocity)


def error(deformation: Deformation, truth: Tensor, grid: Grid, brain: Tensor) -> float:
    """Mean distance in mm over the brain."""
    missed = resize_displacement(deformation.displacement, grid.shape) - truth
    spacing = missed.new_tensor(grid.spacing).view(1, 3, 1, 1, 1)
    return float((missed * spacing).square().sum(1).sqrt()[0][brain].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("arrays", type=Path)
    parser.add_argument("scans", nargs="+")
    parser.add_argument("--method", default="pmr-plus")
    parser.add_argument("--refine", type=int, default=20)
    parser.add_argument(
        "--refine-mm", type=float, nargs="+", default=[2.0, 1.0], help="finest level"
    )
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    arrays = open_arrays(options.arrays)
    grid, name = arrays.grid, options.method
    weights = shipped_weights(name) if spec(name).learned else None
    methods: dict[str, Method] = {name: load_method(name, weights=weights)[1]}
    if options.refine and weights:
        plan = Refinement(steps=options.refine)
        for mm in options.refine_mm:
            label = f"{name}, refined down to {mm:g} mm"
            methods[label] = Refined(methods[name], plan.down_to(mm))
    rows: dict[str, list[tuple[float, float]]] = {"before": []} | {m: [] for m in methods}
    for seed, key in enumerate(options.scans):
        fixed = arrays.image(key, grid.shape)
        brain = fixed[0, 0] > 0
        there, truth = known_warp(grid, seed)
        folds = 100 * float((jacobian_determinant(truth)[0][brain] <= 0).float().mean())
        print(f"{key}: folding of the true warp {folds:.3f} %")
        generator = torch.Generator().manual_seed(seed)
        moving = warp(fixed, there)
        noise = _NOISE * torch.randn(moving.shape, generator=generator)
        moving = torch.where(moving > 0, (moving + noise).clamp(0, 1), moving)
        still = Deformation(torch.zeros_like(truth), grid)
        zero = torch.zeros_like(truth)
        rows["before"].append((0.0, error(still, truth, grid, brain)))
        for label, method in methods.items():
            same = error(method.register(fixed, fixed, grid), zero, grid, brain)
            warped = error(method.register(moving, fixed, grid), truth, grid, brain)
            rows[label].append((same, warped))
    print("| method | same brain, mm | known warp, mm |\n|---|---|---|")
    for label, row in rows.items():
        same, warped = (statistics.mean(column) for column in zip(*row, strict=True))
        print(f"| {label} | {same:.3f} | {warped:.3f} |")


if __name__ == "__main__":
    main()
