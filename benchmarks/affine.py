"""Affine normalisation of real brains that lie wrong: how many are found, how many fail unseen.

    python benchmarks/affine.py --root FOLDER --out rows.tsv [--cases 100] [--jobs 1]

FOLDER is a BIDS dataset of extracted brains. Each seeded case disturbs one of them: a rotation of
30 to 180 degrees about any axis, a shift of 80 mm, a header with one axis flipped, or a field of
view of half the size along one axis. It then goes the way of a scan of a study: brain mask, 1 mm,
affine, quality measures.

What is right is known from the same scan undisturbed: its own affine, moved by the disturbance. A
case is `aligned` when both put the brain's voxels within 3 mm of each other on the template, on
average. A flipped header makes a mirrored brain, which no rotation undoes; to a symmetric template
its mirrored alignment is the right one, with left and right exchanged, and nothing in the image
says so. The others are `refused` (an error names the scan), `doubtful` (qc.tsv says why), or
`silent`: the number that counts.

Rows are written as they come; the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"

import numpy as np
import pandas as pd
from scipy.spatial.transform import Rotation

from pmrpipe.base.errors import PmrpipeError
from pmrpipe.images.resampling import sample_points
from pmrpipe.images.volume import Volume, read_image
from pmrpipe.stages.preprocess.affine import normalise
from pmrpipe.stages.preprocess.brain import cut_out, extract_brain
from pmrpipe.stages.preprocess.resample import to_isotropic
from pmrpipe.stages.qc.measures import judged, measure
from pmrpipe.study.space import template_brain

KINDS = ("rotation", "shift", "rotation", "flip", "half")
COLUMNS = (
    *("case", "kind", "detail", "scan", "outcome", "mean_mm", "mask_dice", "correlation"),
    *("least_scale", "largest_scale", "attempts", "border_percent", "said", "seconds"),
)
RIGHT_MM = 3.0
# The template is symmetric about the plane x = 0.
MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Case:
    """A disturbance: `amount` is degrees about `axis`, mm along it, or where a half begins."""

    number: int
    kind: str
    scan: Path
    axis: tuple[float, float, float]
    amount: float

    @property
    def detail(self) -> str:
        direction = ",".join(f"{part:.2f}" for part in self.axis)
        return f"{self.amount:.4g} along {direction}"

    def disturb(self, image: Volume) -> tuple[Volume, np.ndarray]:
        """The image as a careless export would give it, and the map of its world (4, 4)."""
        if self.kind == "half":
            return self._half(image), np.eye(4)
        moved = np.eye(4)
        centre = (image.affine @ [*(np.asarray(image.shape) - 1) / 2, 1])[:3]
        if self.kind == "shift":
            moved[:3, 3] = self.amount * np.asarray(self.axis)
            return Volume(image.data, moved @ image.affine), moved
        if self.kind == "rotation":
            turn = Rotation.from_rotvec(np.deg2rad(self.amount) * np.asarray(self.axis))
            moved[:3, :3] = turn.as_matrix()
        else:
            along = image.affine[:3, :3] @ self.axis
            along /= np.linalg.norm(along)
            moved[:3, :3] -= 2 * np.outer(along, along)
        moved[:3, 3] = centre - moved[:3, :3] @ centre
        return Volume(image.data, moved @ image.affine), moved

    def _half(self, image: Volume) -> Volume:
        axis = int(np.argmax(self.axis))
        size = image.shape[axis] // 2
        first = round(self.amount * (image.shape[axis] - size))
        kept = [slice(None)] * 3
        kept[axis] = slice(first, first + size)
        start = np.zeros(3)
        start[axis] = first
        affine = image.affine.copy()
        affine[:3, 3] += affine[:3, :3] @ start
        return Volume(np.ascontiguousarray(image.data[tuple(kept)]), affine)

    def expected(self, own: np.ndarray, moved: np.ndarray) -> np.ndarray:
        """The right affine: that of the scan undisturbed, moved along."""
        return moved @ own @ MIRROR if self.kind == "flip" else moved @ own


def cases(scans: list[Path], count: int, seed: int) -> list[Case]:
    """`count` cases, each a function of its number and the seed alone."""
    rows = []
    for number in range(count):
        draw = np.random.default_rng([seed, number])
        kind, scan = KINDS[number % len(KINDS)], scans[number % len(scans)]
        axis = draw.normal(size=3)
        axis /= np.linalg.norm(axis)
        amount = {"rotation": draw.uniform(30, 180), "shift": 80.0, "flip": 180.0}.get(kind)
        if kind in ("flip", "half"):
            axis = np.eye(3)[draw.integers(3)]
        if amount is None:
            amount = draw.choice([0.0, 0.5, 1.0])
        rows.append(Case(number, kind, scan, tuple(axis), float(amount)))
    return rows


def aligned(image: Volume, name: str) -> tuple[np.ndarray, dict[str, Any], Volume]:
    """Affine (4, 4), the measures of qc.tsv, and the mask of an extracted brain."""
    mask = extract_brain(image, "nonzero", name=name)
    brain = Volume(cut_out(image, mask), image.affine)
    affine = normalise(to_isotropic(brain, 1.0), template_brain(), subject=name)
    return affine.matrix, affine.quality | measure(brain, mask, affine.quality), mask


def run(case: Case, own: np.ndarray) -> dict[str, Any]:
    """One row of the table."""
    image, moved = case.disturb(read_image(case.scan))
    row: dict[str, Any] = dict.fromkeys(COLUMNS) | {
        "case": case.number,
        "kind": case.kind,
        "detail": case.detail,
        "scan": case.scan.name.split("_")[0],
    }
    began = time.perf_counter()
    try:
        matrix, quality, mask = aligned(image, row["scan"])
    except PmrpipeError as error:
        return row | {
            "outcome": "refused",
            "said": str(error),
            "seconds": round(time.perf_counter() - began, 1),
        }
    row["seconds"] = round(time.perf_counter() - began, 1)
    far = distance(matrix, case.expected(own, moved), mask)
    said = judged(pd.DataFrame([quality]))["outlier"].iloc[0]
    outcome = "aligned" if far < RIGHT_MM else "doubtful" if said else "silent"
    scales = quality["scales"]
    return row | {
        "outcome": outcome,
        "mean_mm": round(far, 2),
        "least_scale": min(scales),
        "largest_scale": max(scales),
        "said": said,
        **{k: quality[k] for k in ("mask_dice", "correlation", "attempts")},
        "border_percent": round(quality["border_percent"], 2),
    }


def distance(first: np.ndarray, second: np.ndarray, mask: Volume) -> float:
    """Mean distance in mm, on the template, of where two affines put the brain's voxels."""
    points = sample_points(mask.grid)[mask.data][::97]
    ends = [points @ back[:3, :3].T + back[:3, 3] for back in map(np.linalg.inv, (first, second))]
    return float(np.linalg.norm(ends[0] - ends[1], axis=1).mean())


def undisturbed(scan: Path, folder: Path) -> np.ndarray:
    """The scan's own affine, kept beside the rows."""
    kept = folder / f"{scan.name.split('_')[0]}_own.txt"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        matrix, _, _ = aligned(read_image(scan), scan.name)
        unfinished = folder / f"{kept.name}.{os.getpid()}"
        np.savetxt(unfinished, matrix)
        unfinished.replace(kept)
    return np.loadtxt(kept)


def _job(given: tuple[Case, Path]) -> dict[str, Any]:
    case, folder = given
    return run(case, undisturbed(case.scan, folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="BIDS dataset of brains")
    parser.add_argument("--out", type=Path, required=True, help="rows, TSV")
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=6)
    given = parser.parse_args()
    scans = sorted(given.root.glob("sub-*/anat/*_T1w.nii.gz"))
    if not scans:
        parser.error(f"{given.root} holds no sub-*/anat/*_T1w.nii.gz")
    done = set()
    if given.out.exists():
        done = set(pd.read_csv(given.out, sep="\t")["case"])
    todo = [case for case in cases(scans, given.cases, given.seed) if case.number not in done]
    folder = given.out.with_suffix(".own")
    with (
        open(given.out, "a", newline="") as handle,
        multiprocessing.get_context("spawn").Pool(given.jobs, maxtasksperchild=10) as pool,
    ):
        writer = csv.DictWriter(handle, COLUMNS, delimiter="\t")
        if not done:
            writer.writeheader()
        for row in pool.imap_unordered(_job, [(case, folder) for case in todo]):
            writer.writerow(row)
            handle.flush()
            print(*(row[name] for name in COLUMNS[:9]), row["said"] or "", flush=True)
    table = pd.read_csv(given.out, sep="\t")
    counts = table.groupby(["kind", "outcome"]).size().unstack(fill_value=0)
    print(counts.to_string())


if __name__ == "__main__":
    main()
