"""What a GPU gives: equality with the CPU, seconds, memory, and how far from the floor.

    python benchmarks/gpu.py pack ARRAYS.safetensors MOVING FIXED pair.safetensors
    python benchmarks/gpu.py run pair.safetensors gpu.tsv [--minutes 4]
    python benchmarks/gpu.py table gpu.tsv                  Markdown for docs/performance.md

ARRAYS.safetensors is what a study packs for training. `run` needs torch, numpy, safetensors,
pydantic and yaml alone. The most important rows come first, each is written as soon as it is
measured, and what does not fit into the minutes is left out.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

COLUMNS = ["what", "method", "mm", "precision", "batch", "seconds", "peak_gb", "gflop"]
COLUMNS += ["floor_s", "error_mean_voxel", "error_max_voxel", "note"]
REPEATS = 5
# Bytes of one float32.
_WIDTH = 4


@dataclass
class Bench:
    """A pair, a device, a table that grows, and the time that is left."""

    arrays: Any
    device: str
    out: Path
    until: float
    bytes_a_second: float = 1.0
    operations_a_second: dict[str, float] = field(default_factory=dict)

    def images(self, mm: float, batch: int = 1, device: str | None = None) -> tuple[Any, Any, Any]:
        """Moving and fixed (B, 1, X, Y, Z) at `mm`, and their grid."""
        grid = self.arrays.grid.rescaled(mm)
        pair = [self.arrays.image(key, grid.shape) for key in self.arrays.keys[:2]]
        moving, fixed = (x.expand(batch, -1, -1, -1, -1).to(device or self.device) for x in pair)
        return moving.contiguous(), fixed.contiguous(), grid

    def row(self, what: str, **values: Any) -> None:
        """Append one row at once: a run that is cut off keeps what it measured."""
        shown = {k: f"{v:.5g}" if isinstance(v, float) else v for k, v in values.items()}
        with self.out.open("a", encoding="utf-8", newline="") as stream:
            csv.DictWriter(stream, COLUMNS, delimiter="\t").writerow({"what": what, **shown})
            stream.flush()
            os.fsync(stream.fileno())
        print(what, shown, flush=True)

    def time_left(self) -> bool:
        return time.monotonic() < self.until

    def measure(self, call: Callable[[], Any], repeats: int = REPEATS) -> dict[str, float]:
        """Median seconds after a first call, and the most memory that was held."""
        import torch

        cuda = self.device == "cuda"
        call()
        if cuda:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        seconds = []
        for _ in range(repeats):
            began = time.perf_counter()
            call()
            if cuda:
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - began)
            if not self.time_left():
                break
        peak = {"peak_gb": torch.cuda.max_memory_allocated() / 1e9} if cuda else {}
        return {"seconds": statistics.median(seconds), **peak}


# -- what is measured, the most important first --------------------------------------------------
def bandwidth(bench: Bench) -> Iterator[None]:
    """A copy of memory and a large product: what the card could do at best."""
    import torch

    name = torch.cuda.get_device_name() if bench.device == "cuda" else "CPU"
    source = torch.empty(2**26 if bench.device == "cuda" else 2**22, device=bench.device)
    target = torch.empty_like(source)
    seconds = bench.measure(lambda: target.copy_(source))["seconds"]
    bench.bytes_a_second = rate = 2 * _WIDTH * source.numel() / seconds
    note = f"{name}, torch {torch.__version__}: {rate / 1e9:.0f} GB/s"
    bench.row("copy", seconds=seconds, note=note)
    edge = 8192 if bench.device == "cuda" else 512
    for precision in (torch.bfloat16, torch.float32):
        a = torch.randn(edge, edge, device=bench.device, dtype=precision)
        seconds = bench.measure(lambda a=a: a @ a)["seconds"]
        rate = 2 * edge**3 / seconds
        bench.operations_a_second[short(precision)] = rate
        bench.row("product", precision=short(precision), seconds=seconds, note=f"{rate:.3g} FLOP/s")
        yield


def equality(bench: Bench, mm: float) -> Iterator[None]:
    """Fields of the shipped network, refined and not, against float32 on the CPU."""
    import torch

    from pmrpipe.methods.refine import Refinement, refine

    def fields(device: str, precision: Any) -> dict[str, Any]:
        network = shipped(device)
        network.precision = precision
        images = bench.images(mm, device=device)
        alone = network.register(*images)
        refined = refine(*images, alone, Refinement(steps=20).down_to(mm))
        return {"alone": alone.displacement.cpu(), "refined": refined.displacement.cpu()}

    expected = fields("cpu", None)
    for precision in (None, torch.bfloat16):
        for kind, displacement in fields(bench.device, precision).items():
            error = (displacement - expected[kind]).norm(dim=1)
            bench.row(
                f"field against the CPU's, {kind}",
                method="pmr-plus",
                mm=mm,
                precision=short(precision),
                error_mean_voxel=float(error.mean()),
                error_max_voxel=float(error.max()),
            )
            yield


def pairs(bench: Bench, fine: float, coarse: float) -> Iterator[None]:
    """A pair on the fine grid by the shipped network, refined or not, and batches."""
    from pmrpipe.methods.refine import Refined, Refinement

    network = shipped(bench.device)
    pair = bench.images(fine)
    for finest in (None, coarse, fine):
        plan = Refinement(steps=20).down_to(finest or coarse)
        method = Refined(network, plan) if finest else network
        what = f"pair, refined to {finest:g} mm" if finest else "pair, network alone"
        yield timed(bench, what, method, pair, fine)
    for batch in (1, 4, 16, 32):
        yield timed(bench, "batch, network alone", network, bench.images(coarse, batch), coarse)


def training(bench: Bench, methods: list[str], mm: float) -> Iterator[None]:
    """A training step of each method: forward, backward, optimiser."""
    import torch

    for name in methods:
        for precision in (torch.bfloat16, None):
            if not bench.time_left():
                return
            row = {"method": name, "mm": mm, "precision": short(precision)}
            guarded(bench, "training step", row, partial(step, bench, name, mm, precision))
            yield


def registration(bench: Bench, methods: list[str], mm: float) -> Iterator[None]:
    """A pair by each method: networks with their first weights, which cost the same."""
    from pmrpipe.methods.load import build
    from pmrpipe.methods.spec import spec

    for name in methods:
        chosen = spec(name)
        method = build(chosen, network_mm=mm) if chosen.learned else build(chosen)
        if chosen.learned:
            method = method.to(bench.device).eval()
        images = bench.images(mm)
        repeats = 1 if chosen.slow else REPEATS
        call = partial(bench.measure, partial(method.register, *images), repeats)
        guarded(bench, "pair by the method", {"method": name, "mm": mm}, call)
        yield


def operations(bench: Bench, mm: float) -> Iterator[None]:
    """Warp, composition and local correlation against the time that their bytes need."""
    import torch

    from pmrpipe.losses.similarity import local_correlation
    from pmrpipe.spatial.integrate import compose
    from pmrpipe.spatial.warp import warp

    moving, fixed, grid = bench.images(mm)
    displacement = torch.rand(1, 3, *grid.shape, device=bench.device) * 4
    leaf = moving.clone().requires_grad_()

    def correlate() -> None:
        torch.autograd.grad(local_correlation(fixed, leaf, 5), leaf)

    # Volumes that are read and written, each once.
    for name, volumes, call in (
        ("warp", 5, lambda: warp(moving, displacement)),
        ("composition", 9, lambda: compose(displacement, displacement)),
        ("local correlation, both ways", 3, correlate),
    ):
        floor = volumes * _WIDTH * moving.numel() / bench.bytes_a_second
        bench.row(name, mm=mm, precision="float32", floor_s=floor, **bench.measure(call))
        yield


def fireants(bench: Bench, mm: float) -> Iterator[None]:
    """The peer's greedy registration on the same card and pair, where it can be imported.

    Its Dice is that of benchmarks/peers.py, with the same settings.
    """
    try:
        import SimpleITK as sitk
        from fireants.io import BatchedImages, Image
        from fireants.registration.greedy import GreedyRegistration
    except ImportError as error:
        bench.row("pair by the peer", method="FireANTs", note=f"not measured: {error}")
        yield
        return
    both = []
    for image in bench.images(mm, device="cpu")[:2]:
        volume = sitk.GetImageFromArray(image[0, 0].numpy().transpose(2, 1, 0))
        volume.SetSpacing([mm] * 3)
        both.append(BatchedImages([Image(volume, device=bench.device)]))

    def register() -> None:
        GreedyRegistration(
            scales=[4, 2, 1],
            iterations=[200, 100, 50],
            fixed_images=both[1],
            moving_images=both[0],
            cc_kernel_size=5,
            progress_bar=False,
        ).optimize()

    row = {"method": "FireANTs", "mm": mm}
    guarded(bench, "pair by the peer", row, partial(bench.measure, register, 3))
    yield


# -- parts ---------------------------------------------------------------------------------------
def shipped(device: str) -> Any:
    """The network with weights in the package."""
    from pmrpipe.methods.load import load_method, shipped_folder

    return load_method("pmr-plus", weights=shipped_folder("pmr-plus"), device=device)[1]


def timed(bench: Bench, what: str, method: Any, images: tuple[Any, Any, Any], mm: float) -> None:
    """A row of what a registration takes."""
    measured, batch = bench.measure(lambda: method.register(*images)), len(images[0])
    note = f"{batch / measured['seconds']:.3g} pairs a second"
    bench.row(what, method="pmr-plus", mm=mm, batch=batch, note=note, **measured)


def step(bench: Bench, name: str, mm: float, precision: Any) -> dict[str, float]:
    """Seconds, memory, operations and floor of one training step."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from pmrpipe.methods.batch import Batch
    from pmrpipe.methods.deformation import Deformation
    from pmrpipe.methods.load import build_network
    from pmrpipe.methods.spec import spec

    chosen = spec(name)
    method = build_network(chosen, mm).to(bench.device).train()
    method.precision = precision
    moving, fixed, grid = bench.images(mm)
    zero = Deformation(moving.new_zeros(1, 3, *grid.shape), grid)
    batch = Batch(moving, fixed, grid, zero if chosen.teacher else None)
    batch = batch.both_ways() if chosen.schedule.symmetric else batch
    optimiser = torch.optim.Adam(method.parameters())

    def train() -> None:
        optimiser.zero_grad()
        method.objective(batch)["total"].backward()
        optimiser.step()

    measured = bench.measure(train)
    with FlopCounterMode(display=False) as counter:
        train()
    flop = float(counter.get_total_flops())
    held = measured.get("peak_gb", 0.0) * 1e9
    # Whatever a step holds at once it has written and read at least once.
    bounds = flop / bench.operations_a_second[short(precision)], 2 * held / bench.bytes_a_second
    return {**measured, "gflop": flop / 1e9, "floor_s": max(bounds)}


def guarded(
    bench: Bench, what: str, row: dict[str, Any], call: Callable[[], dict[str, float]]
) -> None:
    """A row of what `call` measured, or of why it could not."""
    import torch

    try:
        values: dict[str, Any] = call()
    except (RuntimeError, ValueError) as error:  # Out of memory, or a size that it does not take.
        values = {"note": str(error).splitlines()[0][:200]}
    bench.row(what, **row, **values)
    if bench.device == "cuda":
        torch.cuda.empty_cache()


def short(precision: Any) -> str:
    return "float32" if precision is None else str(precision).removeprefix("torch.")


# -- commands ------------------------------------------------------------------------------------
def run(arguments: argparse.Namespace) -> None:
    """Measure until the minutes are over."""
    import torch

    from pmrpipe.methods.classical import AntsSyN
    from pmrpipe.methods.components import resolve
    from pmrpipe.methods.spec import names, spec
    from pmrpipe.study.pack import open_arrays

    device = arguments.device
    if device == "cuda" and not torch.cuda.is_available():
        sys.exit("pmrpipe: device: no GPU is visible (use --device cpu to try the script)")
    arguments.out.write_text("\t".join(COLUMNS) + "\n", encoding="utf-8")
    until = time.monotonic() + 60 * arguments.minutes
    bench = Bench(open_arrays(arguments.pack), device, arguments.out, until)
    listed = arguments.methods or names()
    learned = [name for name in listed if spec(name).learned]
    torchy = [name for name in listed if resolve(spec(name).component) is not AntsSyN]
    first = [name for name in ("pmr-plus",) if name in learned]
    rest = [name for name in learned if name not in first]
    fine, coarse = (1.0, 2.0) if arguments.mm is None else (arguments.mm, arguments.mm)
    parts = [
        bandwidth(bench),
        equality(bench, coarse),
        pairs(bench, fine, coarse),
        training(bench, first, fine),
        operations(bench, fine),
        fireants(bench, fine),
        training(bench, learned, coarse),
        registration(bench, torchy, coarse),
        training(bench, rest, fine),
    ]
    for part in parts:
        for _ in part:
            if not bench.time_left():
                sys.exit(
                    f"stopped after {arguments.minutes} minutes; {arguments.out} holds the rows"
                )


def pack(arguments: argparse.Namespace) -> None:
    """Two scans of a study's pack, small enough to be carried."""
    from pmrpipe.study.pack import open_arrays
    from pmrpipe.study.pack import pack as write

    arrays = open_arrays(arguments.arrays)
    keys = (arguments.moving, arguments.fixed)
    images = {key: arrays.image(key, arrays.grid.shape)[0, 0].numpy() for key in keys}
    dsegs = {key: arrays.dseg(key)[0, 0].numpy() for key in keys if key in arrays.labelled}
    write(images, dsegs, arrays.grid, arguments.out, arrays.labels, arrays.origin)


def table(arguments: argparse.Namespace) -> None:
    """The rows as Markdown."""
    with arguments.rows.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    used = [name for name in COLUMNS if any(row[name] for row in rows)]
    print("| " + " | ".join(used) + " |")
    print("|" + "---|" * len(used))
    for row in rows:
        print("| " + " | ".join(row[name] for name in used) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(required=True)
    packing = verbs.add_parser("pack")
    for name in ("arrays", "moving", "fixed", "out"):
        packing.add_argument(name)
    packing.set_defaults(verb=pack)
    running = verbs.add_parser("run")
    running.add_argument("pack", type=Path)
    running.add_argument("out", type=Path)
    running.add_argument("--minutes", type=float, default=4.0)
    running.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    running.add_argument("--methods", nargs="*", help="all that `pmrpipe methods` lists")
    running.add_argument("--mm", type=float, help="one voxel size in place of 1 and 2 mm")
    running.set_defaults(verb=run)
    showing = verbs.add_parser("table")
    showing.add_argument("rows", type=Path)
    showing.set_defaults(verb=table)
    arguments = parser.parse_args()
    arguments.verb(arguments)


if __name__ == "__main__":
    main()
