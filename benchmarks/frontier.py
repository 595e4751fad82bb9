"""Accuracy against smoothness, while each method's own regularisation is swept.

    python benchmarks/frontier.py run ARRAYS SCAN SCAN ... --out rows.tsv [--sweep NAME ...]
    python benchmarks/frontier.py known ARRAYS SCAN ... --out known.tsv [--sweep NAME ...]
    python benchmarks/frontier.py table rows.tsv [--known known.tsv] [--at strain=0.35 ...]
    python benchmarks/frontier.py figure rows.tsv frontier.png

ARRAYS is the pack of a study (results/COHORT/train/arrays_res-1.safetensors), the scans are those
of its validation. `run` registers every ordered pair, or --pairs of them, with every setting and
appends one row to `rows.tsv` for each: Dice of the labels, HD95, strain, SDlogJ, folding, NDV,
seconds; run again, it goes on. FireANTs, ConvexAdam and syntx run where --sweep names them, in
--peer-python (benchmarks/peers.py). `known` measures the error in mm where the warp is known
(benchmarks/known.py), with the same settings. `table` prints means by setting and, with `--at`,
what each method reaches at that smoothness: between neighbouring settings on a line, never beyond
its ends.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

from known import error, known_warp
from peers import PEERS, by_peer

from pmrpipe.base.malloc import keep_freed_memory
from pmrpipe.images.resampling import resample, sample_displacement, sample_points
from pmrpipe.images.transforms import read_field
from pmrpipe.images.volume import Grid, Volume, write_volume
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.load import build, load_method, shipped_folder
from pmrpipe.methods.protocols import Method
from pmrpipe.methods.refine import Refined, Refinement
from pmrpipe.methods.spec import spec
from pmrpipe.spatial.warp import warp
from pmrpipe.stages.score.pair import score_pair
from pmrpipe.study.pack import Arrays, open_arrays

COLUMNS = ["sweep", "setting", "moving", "fixed", "dice", "hd95_mm", "strain", "sdlogj"]
COLUMNS += ["folding_percent", "ndv_percent", "seconds"]
KNOWN = ["sweep", "setting", "scan", "error_mm", "seconds"]
SMOOTHNESS = ("strain", "sdlogj")


def refined(finest: float) -> Callable[[float], Method]:
    def method(elastic: float) -> Method:
        start = load_method("pmr-plus", weights=shipped_folder("pmr-plus"))[1]
        return Refined(start, Refinement(steps=20, elastic=elastic).down_to(finest))

    return method


def changed(name: str, *path: str) -> Callable[[float], Method]:
    """A classical method whose parameter at `path` is the setting."""

    def method(value: float) -> Method:
        chosen = spec(name).model_copy(deep=True)
        inner: Any = chosen.parameters
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        return build(chosen)

    return method


class Peer:
    """A peer with one value of its own regularisation, in an environment of its own."""

    python, threads = sys.executable, 2

    def __init__(self, name: str, setting: float) -> None:
        self.name, self.setting = name, setting

    def register(self, moving: torch.Tensor, fixed: torch.Tensor, grid: Grid) -> Deformation:
        """Through files: the peer knows nothing of tensors on a grid."""
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            paths = [folder / "moving.nii.gz", folder / "fixed.nii.gz"]
            for path, image in zip(paths, (moving, fixed), strict=True):
                write_volume(path, image[0, 0].numpy(), grid.affine)
            out = folder / "field.nii.gz"
            by_peer(self.name, *paths, out, self.python, self.threads, self.setting)
            field = sample_displacement(read_field(out), grid)
        return Deformation.from_millimetres(field, grid)


def elsewhere(name: str) -> Callable[[float], Method]:
    return lambda setting: Peer(name, setting)


ELASTIC = (0.4, 0.5, 0.7, 1.0, 1.4)
# name: how a method is made of a setting, and the settings.
SWEEPS: dict[str, tuple[Callable[[float], Method], tuple[float, ...]]] = {
    "pmr-plus": (lambda _: load_method("pmr-plus", weights=shipped_folder("pmr-plus"))[1], (0.0,)),
    "refined to 2 mm": (refined(2.0), ELASTIC),
    "refined to 1 mm": (refined(1.0), ELASTIC),
    "greedy": (changed("greedy", "elastic"), ELASTIC),
    # Deviation, in voxels, of the Gaussian that smooths each update; ANTs' default is 3.
    "syn": (changed("syn", "flow_sigma"), (1.5, 2.0, 3.0, 4.0, 6.0)),
    # Deviation, in voxels, of the Gaussian that smooths the whole warp; its default is 0.5.
    "fireants": (elsewhere("fireants"), (0.25, 0.5, 0.75, 1.0, 1.5)),
    # Weight of its smoothness; its default is 1.25.
    "convexadam": (elsewhere("convexadam"), (0.6, 1.25, 2.5, 5.0, 10.0)),
    # As of `syn`; its default is 3.
    "syntx-syn": (elsewhere("syntx-syn"), (1.5, 2.0, 3.0, 4.0, 6.0)),
    "lddmm-cc": (changed("lddmm-cc", "matching", "sigma"), (0.6, 0.9, 1.25, 1.8, 2.5)),
}


def settings(arguments: argparse.Namespace) -> Iterator[tuple[str, float, Method]]:
    for name in arguments.sweep or [name for name in SWEEPS if name not in PEERS]:
        make, values = SWEEPS[name]
        for value in arguments.values or values:
            yield name, value, make(value)


def rows_of(path: Path, columns: list[str]) -> set[tuple[str, ...]]:
    """Names of the rows that are there; a new table gets its head."""
    names = columns[: -7 if "dice" in columns else -2]
    if not path.exists():
        path.write_text("\t".join(columns) + "\n", encoding="utf-8")
        return set()
    table = pd.read_csv(path, sep="\t", dtype=str)
    return {tuple(row) for row in table[names].to_numpy()}


def append(path: Path, row: list[Any]) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write("\t".join(f"{v:.6g}" if isinstance(v, float) else str(v) for v in row) + "\n")


def measured(method: Method, arrays: Arrays, moving: str, fixed: str, table: pd.DataFrame) -> list:
    """Everything that scoring says of a pair, `COLUMNS` from `dice` on."""
    grid = arrays.grid
    images = [arrays.image(key, grid.shape) for key in (moving, fixed)]
    began = time.perf_counter()
    with torch.no_grad():
        deformation = method.register(*images, grid)
    seconds = time.perf_counter() - began
    field = sample_displacement((deformation.millimetres(), deformation.grid), grid)
    points = sample_points(grid, field=(field, grid))
    source, target = (Volume(image[0, 0].numpy(), grid.affine) for image in images)
    dsegs = [Volume(arrays.dseg(key)[0, 0].numpy(), grid.affine) for key in (moving, fixed)]
    _, row = score_pair(
        dsegs[1],
        resample(dsegs[0], points, "nearest"),
        target.data > 0,
        target,
        resample(source, points, "linear"),
        field,
        table,
    )
    return [float(row[name]) for name in COLUMNS[4:-1]] + [seconds]


def scored_labels(arrays: Arrays) -> pd.DataFrame:
    """All labels of a pack, as scoring asks for them."""
    return pd.DataFrame({"index": arrays.labels, "scored": 1, "name": "", "region": np.nan})


def run(arguments: argparse.Namespace) -> None:
    arrays, done = open_arrays(arguments.arrays), rows_of(arguments.out, COLUMNS)
    labels = scored_labels(arrays)
    pairs = list(permutations(arguments.scans, 2))
    pairs = pairs[:: -(-len(pairs) // (arguments.pairs or len(pairs)))]
    for name, value, method in settings(arguments):
        for moving, fixed in pairs:
            names = (name, f"{value:g}", moving, fixed)
            if names not in done:
                row = measured(method, arrays, moving, fixed, labels)
                append(arguments.out, [*names, *row])
                print(*names, *(f"{v:.4g}" for v in row), flush=True)


def known(arguments: argparse.Namespace) -> None:
    arrays, done = open_arrays(arguments.arrays), rows_of(arguments.out, KNOWN)
    grid = arrays.grid
    for seed, scan in enumerate(arguments.scans):
        fixed = arrays.image(scan, grid.shape)
        there, truth = known_warp(grid, seed)
        moving = warp(fixed, there)
        for name, value, method in settings(arguments):
            if (name, f"{value:g}", scan) in done:
                continue
            began = time.perf_counter()
            with torch.no_grad():
                deformation = method.register(moving, fixed, grid)
            seconds = time.perf_counter() - began
            missed = error(deformation, truth, grid, fixed[0, 0] > 0)
            append(arguments.out, [name, f"{value:g}", scan, missed, seconds])
            print(name, value, scan, f"{missed:.3f} mm", flush=True)


# -- tables --------------------------------------------------------------------------------------
def means(rows: pd.DataFrame) -> pd.DataFrame:
    numbers = [name for name in rows if rows[name].dtype.kind in "fi" and name != "setting"]
    return rows.groupby(["sweep", "setting"], sort=False)[numbers].mean().reset_index()


def at(line: pd.DataFrame, smoothness: str, value: float, what: str = "dice") -> float:
    """The best `what` of a sweep at a smoothness, between neighbouring settings; NaN elsewhere."""
    ordered = line.sort_values("setting")
    points = list(zip(ordered[smoothness], ordered[what], strict=True))
    reached = [
        y + (value - x) / (other - x) * (there - y)
        for (x, y), (other, there) in pairwise(points)
        if min(x, other) <= value <= max(x, other) and x != other
    ]
    return float(max(reached, default=np.nan))


def table(arguments: argparse.Namespace) -> None:
    lines = means(pd.read_csv(arguments.rows, sep="\t"))
    if arguments.known:
        errors = means(
            pd.read_csv(arguments.known, sep="\t").rename(columns={"seconds": "known_s"})
        )
        lines = lines.merge(errors[["sweep", "setting", "error_mm"]], "left")
    shown = [name for name in lines if name not in ("sweep", "setting")]
    print("| method | setting | " + " | ".join(shown) + " |\n|" + "---|" * (len(shown) + 2))
    for _, row in lines.iterrows():
        cells = " | ".join(f"{row[name]:.4g}" for name in shown)
        print(f"| {row['sweep']} | {row['setting']:g} | {cells} |")
    for words in arguments.at:
        smoothness, _, value = words.partition("=")
        for name, line in lines.groupby("sweep", sort=False):
            print(f"{name} at {words}: Dice {at(line, smoothness, float(value)):.4f}")


def figure(arguments: argparse.Namespace) -> None:
    from matplotlib.figure import Figure

    lines = means(pd.read_csv(arguments.rows, sep="\t"))
    made = Figure(figsize=(9, 4), layout="constrained")
    for axes, smoothness in zip(made.subplots(1, 2, sharey=True), SMOOTHNESS, strict=True):
        for name, line in lines.groupby("sweep", sort=False):
            ordered = line.sort_values(smoothness)
            axes.plot(ordered[smoothness], ordered["dice"], "o-", label=name, ms=4)
        axes.set_xlabel({"strain": "RMS Hencky strain", "sdlogj": "SDlogJ"}[smoothness])
        axes.grid(alpha=0.3)
    made.axes[0].set_ylabel("Dice")
    made.axes[0].legend(frameon=False)
    made.savefig(arguments.out, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(required=True)
    for verb in (run, known):
        words = verbs.add_parser(verb.__name__)
        words.add_argument("arrays", type=Path)
        words.add_argument("scans", nargs="+")
        words.add_argument("--out", type=Path, required=True)
        words.add_argument("--sweep", action="append", choices=SWEEPS)
        words.add_argument("--values", type=float, nargs="+", help="in place of a sweep's own")
        words.add_argument("--threads", type=int, default=2)
        words.add_argument("--peer-python", default=sys.executable)
        if verb is run:
            words.add_argument("--pairs", type=int, help="at most so many, evenly spread")
        words.set_defaults(verb=verb)
    showing = verbs.add_parser("table")
    showing.add_argument("rows", type=Path)
    showing.add_argument("--known", type=Path)
    showing.add_argument("--at", action="append", default=[])
    showing.set_defaults(verb=table)
    drawing = verbs.add_parser("figure")
    drawing.add_argument("rows", type=Path)
    drawing.add_argument("out", type=Path)
    drawing.set_defaults(verb=figure)
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(getattr(arguments, "threads", 1))
    Peer.threads = getattr(arguments, "threads", 1)
    Peer.python = getattr(arguments, "peer_python", sys.executable)
    arguments.verb(arguments)


if __name__ == "__main__":
    main()
