"""Equivariance: what a method says of images that were moved, against what it should say.

    python benchmarks/equivariance.py ARRAYS MOVING_to_FIXED ... --train results/COHORT/train
        --methods pmr-plus pmr-plus_refine-20 syn --out results/COHORT/score/equivariance.tsv

ARRAYS is the pack of a study (results/COHORT/train/arrays_res-1.safetensors). A method that is
equivariant to W and U says Phi[A∘W, B∘U] = W^-1 ∘ Phi[A, B] ∘ U (Greer et al., CVPR 2025). The
error is the distance in mm between both sides at the voxels of the brain of B∘U, its mean and 95th
percentile. [U,U] moves both images alike; [W,U] the moving image alone, U being the identity.

Images are moved on the network's grid, after preprocessing, and the affine is not run again.
Translations by whole voxels and rotations by 90 and 180 degrees about a voxel resample nothing:
each voxel takes the value of one other. Rotations by 15 and 45 degrees interpolate, so that a row
`resampling` says what that alone does: both images are turned there and back.

The report of the study shows the table, where it is there, once it is built again.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from pmrpipe.base.files import read_json, write_tsv
from pmrpipe.base.malloc import keep_freed_memory
from pmrpipe.images.volume import Grid
from pmrpipe.methods.finetune import Finetuning, finetuned
from pmrpipe.methods.load import load_method, shipped_weights
from pmrpipe.methods.protocols import Method
from pmrpipe.methods.refine import Refined, Refinement
from pmrpipe.methods.spec import spec
from pmrpipe.methods.weights import MODEL
from pmrpipe.spatial.maps import Affine, Map, Sampled, composed
from pmrpipe.spatial.warp import identity_grid, warp
from pmrpipe.stages.train.validation import mean_dice
from pmrpipe.study.keys import named_pair
from pmrpipe.study.pack import Arrays, open_arrays

SHIFTS_MM = (0.0, 4.0, 8.0, 16.0, 32.0)
TURNS = (0.0, 15.0, 45.0, 90.0, 180.0)
# How far from whole voxels a point may lie and count as one.
_WHOLE = 1e-3


@dataclass(frozen=True, eq=False)
class Condition:
    """How a pair is moved.

    motion : translation, rotation or resampling
    amount : mm or degrees
    group : "[U,U]" or "[W,U]"
    w, u : (4, 4), points of the moved image to points of the image as it was, voxels
    again : of the images once they were moved; for `resampling`, which turns them back
    """

    motion: str
    amount: float
    group: str
    w: Tensor
    u: Tensor
    again: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Pair:
    """Images (1, 1, X, Y, Z) on `grid`, and label maps if there are any."""

    moving: Tensor
    fixed: Tensor
    grid: Grid
    dsegs: tuple[Tensor, Tensor] | None = None

    def moved(self, condition: Condition) -> Pair:
        """A∘W and B∘U."""
        w, u, again = condition.w, condition.u, condition.again
        images = [moved(moved(x, m), again) for x, m in ((self.moving, w), (self.fixed, u))]
        dsegs = self.dsegs
        if dsegs is not None:
            whole = [one if again is None else one @ again for one in (w, u)]
            dsegs = tuple(moved(d, m, nearest=True) for d, m in zip(dsegs, whole, strict=True))
        return replace(self, moving=images[0], fixed=images[1], dsegs=dsegs)  # type: ignore[arg-type]


def moved(image: Tensor, matrix: Tensor | None, nearest: bool = False) -> Tensor:
    """`image` (1, 1, X, Y, Z) at `matrix` x of each voxel x, 0 outside; None: as it is.

    Where all of these are voxels nothing is interpolated.
    """
    if matrix is None:
        return image
    voxels = identity_grid(image.shape[2:], image.device, torch.float32)
    points = Affine(matrix).at(voxels)
    whole = points.round()
    exact = float((points - whole).abs().max()) < _WHOLE
    kind = "nearest" if exact or nearest else "bilinear"
    return warp(image, (whole if exact else points) - voxels, kind)


def translation(voxels: Sequence[float]) -> Tensor:
    """x to x + t."""
    matrix = torch.eye(4)
    matrix[:3, 3] = torch.tensor(voxels)
    return matrix


def rotation(degrees: float, axis: int, centre: Tensor) -> Tensor:
    """About a line through `centre` (3,) along an axis of the grid, whose voxels are isotropic."""
    matrix, (i, j) = torch.eye(4), [n for n in range(3) if n != axis]
    cosine, sine = (f(math.radians(degrees)) for f in (math.cos, math.sin))
    matrix[i, i], matrix[i, j], matrix[j, i], matrix[j, j] = cosine, -sine, sine, cosine
    matrix[:3, 3] = centre - matrix[:3, :3] @ centre
    return matrix


def conditions(pair: Pair, seed: int) -> Iterator[Condition]:
    """All motions; axis and direction of each are drawn with the seed."""
    generator = torch.Generator().manual_seed(seed)
    inside = (pair.fixed[0, 0] > 0).nonzero().float()
    # A voxel, so that quarter turns bring voxels to voxels.
    centre = ((inside.amin(0) + inside.amax(0)) / 2).round()
    none, mm = torch.eye(4), pair.grid.spacing[0]
    for motion, amounts in (("translation", SHIFTS_MM), ("rotation", TURNS)):
        for amount in amounts:
            axis, sign = int(torch.randint(3, (), generator=generator)), 1.0
            if torch.rand((), generator=generator) < 0.5:
                sign = -1.0
            if motion == "translation":
                steps = [0.0] * 3
                steps[axis] = sign * round(amount / mm)
                w = translation(steps)
            else:
                w = rotation(sign * amount, axis, centre)
            yield Condition(motion, amount, "[U,U]", w, w)
            if amount:
                yield Condition(motion, amount, "[W,U]", w, none)
            if motion == "rotation" and amount % 90:
                back = torch.linalg.inv(w)
                yield Condition("resampling", amount, "[U,U]", w, w, back)


def error(phi: Map, seen: Map, condition: Condition, points: Tensor) -> Tensor:
    """Distance in voxels between W^-1 Phi[A, B] U and Phi[A∘W, B∘U] at points (1, 3, N)."""
    w, u = condition.w, condition.u
    if condition.again is not None:
        w, u = w @ condition.again, u @ condition.again
    expected = composed(Affine(torch.linalg.inv(w)), phi, Affine(u)).at(points)
    return (expected - seen.at(points)).square().sum(1).sqrt()[0]


def measured(
    method: Method, pair: Pair, condition: Condition, phi: Sampled
) -> dict[str, float | str]:
    """One row: the error of a method over the moved fixed brain, and its Dice there.

    phi : what the method says of the pair as it is
    """
    seen_pair = pair.moved(condition)
    deformation = method.register(seen_pair.moving, seen_pair.fixed, pair.grid)
    deformation = deformation.resampled(pair.grid)
    points = (seen_pair.fixed[0, 0] > 0).nonzero().T[None].float()
    missed = pair.grid.spacing[0] * error(phi, Sampled(deformation.displacement), condition, points)
    row: dict[str, float | str] = {
        "motion": condition.motion,
        "amount": condition.amount,
        "group": condition.group,
        "error_mm": float(missed.mean()),
        "error95_mm": float(missed.quantile(0.95)),
        "dice": float("nan"),
    }
    if seen_pair.dsegs is not None:
        moving, fixed = seen_pair.dsegs
        labels = torch.unique(fixed).long()
        row["dice"] = mean_dice(fixed, moving, deformation, labels[labels > 0])
    return row


def rows(method: Method, pair: Pair, seed: int) -> Iterator[dict[str, float | str]]:
    """Every condition of a pair."""
    said = method.register(pair.moving, pair.fixed, pair.grid).resampled(pair.grid)
    for condition in conditions(pair, seed):
        yield measured(method, pair, condition, Sampled(said.displacement))


def read_pair(arrays: Arrays, moving: str, fixed: str, mm: float) -> Pair:
    """A pair at `mm`, with so much room that no shift takes a brain out of the image."""
    grid = arrays.grid.rescaled(mm)
    room = round(max(SHIFTS_MM) / mm)
    # Room for the brain's longest side across the shortest one too, when it is turned.
    sides = [room + max(0, -(-(max(grid.shape) - n) // 2)) for n in grid.shape]
    padding = [side for side in reversed(sides) for _ in range(2)]
    affine = grid.affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ sides
    shape = tuple(n + 2 * side for n, side in zip(grid.shape, sides, strict=True))
    images = [F.pad(arrays.image(key, grid.shape), padding) for key in (moving, fixed)]
    dsegs = None
    if {moving, fixed} <= arrays.labelled:
        maps = (F.interpolate(arrays.dseg(k).float(), grid.shape) for k in (moving, fixed))
        dsegs = tuple(F.pad(one, padding) for one in maps)
    return Pair(*images, Grid(shape, affine), dsegs)  # type: ignore[arg-type]


def load(row: str, train: Path | None) -> Method:
    """The method of a row of a study's tables, such as `gradicon` or `gradicon_refine-20`."""
    name, _, further = row.partition("_")
    weights = train / name if train and (train / name / MODEL).exists() else shipped_weights(name)
    mm = read_json(weights / MODEL).get("network_mm") if weights else None
    method = load_method(name, weights=weights, network_mm=mm)[1]
    kind, _, steps = further.partition("-")
    if kind == "refine":
        return Refined(method, Refinement(steps=int(steps)))
    return finetuned(spec(name), method, Finetuning(int(steps))) if kind == "finetune" else method


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("arrays", type=Path)
    parser.add_argument("pairs", nargs="+")
    parser.add_argument("--methods", nargs="+", default=["pmr-plus"], help="rows of the tables")
    parser.add_argument("--train", type=Path, help="results/COHORT/train; else shipped weights")
    parser.add_argument("--mm", type=float, default=2.0, help="voxel size of the moved images")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=2019)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    arrays, table = open_arrays(options.arrays), list[dict[str, Any]]()
    for name in options.methods:
        method = load(name, options.train)
        for number, words in enumerate(options.pairs):
            moving, fixed = named_pair(words)
            pair = read_pair(arrays, moving, fixed, options.mm)
            for row in rows(method, pair, options.seed + number):
                table.append({"method": name, "moving": moving, "fixed": fixed, **row})
        write_tsv(options.out, pd.DataFrame(table))
        print(summary(pd.DataFrame(table), name), flush=True)


def summary(table: pd.DataFrame, name: str) -> str:
    """Means over the pairs of one method, Markdown."""
    own = table[table["method"] == name]
    means = own.groupby(["motion", "group", "amount"])[["error_mm", "error95_mm", "dice"]].mean()
    lines = [f"| {name} | error, mm | 95 %, mm | Dice |", "|---|---|---|---|"]
    for (motion, group, amount), row in means.iterrows():
        values = f"{row['error_mm']:.3f} | {row['error95_mm']:.3f} | {row['dice']:.4f}"
        lines.append(f"| {motion} {group} {amount:g} | {values} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
