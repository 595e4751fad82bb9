"""Speed of training, losses, inference and warping against peers, in one run.

    python benchmarks/speed.py step --peer-python PYTHON    PYTHON has torch and voxelmorph 0.3.4
    python benchmarks/speed.py correlation                  MONAI's local correlation
    python benchmarks/speed.py inference                    antspyx's SyN
    python benchmarks/speed.py warp                         bare grid_sample, memory bandwidth
    python benchmarks/speed.py grids                        a step at 2, 1.5 and 1 mm
    python benchmarks/speed.py floors                       operations and bytes, and what they need

Prints seconds (medians of things run in turn), peak memory where it matters, and ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SHAPE = (160, 192, 160)
SOURCES = Path(__file__).resolve().parents[1] / "src"


def in_turn(repeats: int, **calls: Callable[[], object]) -> dict[str, float]:
    """Median seconds of each, run one after the other `repeats` times after a first of each."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            if turn:
                seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


def operations(call: Callable[[], object]) -> float:
    """Floating-point operations of the convolutions of one call."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops())


# -- training step -------------------------------------------------------------------------------
def step(arguments: argparse.Namespace) -> None:
    """One training step of VxmPairwise's network, by voxelmorph and by our engine."""
    rows: dict[str, list[dict[str, float]]] = {}
    for _ in range(arguments.repeats):
        for engine in ("voxelmorph", "pmrpipe", "pmrpipe-bf16"):
            command = [arguments.peer_python, __file__, "one-step", engine]
            environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            if done.returncode:
                sys.exit(done.stderr)
            rows.setdefault(engine, []).append(json.loads(done.stdout.splitlines()[-1]))
    medians = {
        engine: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        for engine, runs in rows.items()
    }
    peer = medians["voxelmorph"]
    for engine, run in medians.items():
        print(
            f"{engine}: {run['seconds']:.2f} s, {run['gigabytes']:.2f} GB;"
            f" {run['seconds'] / peer['seconds']:.2f} x time,"
            f" {run['gigabytes'] / peer['gigabytes']:.2f} x memory; loss {run['loss']:.6f};"
            f" {run['operations'] / 1e9:.0f} GFLOP in convolutions"
        )


def one_step(arguments: argparse.Namespace) -> None:
    """The median of three steps of one engine, alone in its process; peak memory; JSON."""
    import torch
    import voxelmorph as vxm

    from pmrpipe.base.malloc import keep_freed_memory
    from pmrpipe.spatial.integrate import integrate
    from pmrpipe.spatial.warp import warp

    torch.manual_seed(0)
    torch.set_num_threads(2)
    model = vxm.nn.models.VxmPairwise(ndim=3, source_channels=1, target_channels=1)
    images = [torch.rand(1, 1, *SHAPE) for _ in range(2)]
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4)
    if arguments.engine != "voxelmorph":
        keep_freed_memory(48)  # as `pmrpipe train` does
        model = model.to(memory_format=torch.channels_last_3d)
        for part in model.modules():
            if isinstance(part, torch.nn.ReLU):
                part.inplace = True

    def loss() -> torch.Tensor:
        moving, fixed = images
        if arguments.engine == "voxelmorph":
            _, warped = model(moving, fixed, return_warped_source=True)
        else:
            half = arguments.engine.endswith("bf16")
            stacked = torch.cat(images, 1).to(memory_format=torch.channels_last_3d)
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                velocity = model.flow_layer(model.model(stacked))
            warped = warp(moving, integrate(velocity.float(), 5))
        return (warped - fixed).square().mean()

    def train() -> float:
        optimiser.zero_grad()
        value = loss()
        value.backward()
        optimiser.step()
        return float(value)

    first = train()
    seconds = in_turn(3, step=train)["step"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    run = {"seconds": seconds, "gigabytes": peak, "loss": first}
    print(json.dumps(run | {"operations": operations(train)}))


# -- local correlation ---------------------------------------------------------------------------
def correlation(arguments: argparse.Namespace) -> None:
    """Forward and backward, window 9, value and gradient compared."""
    import torch
    from monai.losses import LocalNormalizedCrossCorrelationLoss

    from pmrpipe.losses.similarity import local_correlation

    torch.set_num_threads(2)
    torch.manual_seed(0)
    fixed = torch.rand(1, 1, *SHAPE)
    warped = (fixed + 0.3 * torch.rand(1, 1, *SHAPE)).requires_grad_()
    monai = LocalNormalizedCrossCorrelationLoss(spatial_dims=3, kernel_size=9)

    def ours() -> torch.Tensor:
        warped.grad = None
        value = local_correlation(warped, fixed, 9).mean()
        value.backward()
        return value.detach()

    def theirs() -> torch.Tensor:
        warped.grad = None
        value = monai(warped, fixed)
        value.backward()
        return -value.detach()

    values, slopes = [], []
    for call in (ours, theirs):
        values.append(float(call()))
        slopes.append(warped.grad.clone())
    apart = float((slopes[0] + slopes[1]).abs().max() / slopes[1].abs().max())
    times = in_turn(arguments.repeats, ours=ours, theirs=theirs)
    print(
        f"pmrpipe {times['ours']:.2f} s, MONAI {times['theirs']:.2f} s:"
        f" {times['theirs'] / times['ours']:.1f} times faster; values {values[0]:.6f} and"
        f" {values[1]:.6f}, gradients within {apart:.1e} of the largest"
    )


# -- inference -----------------------------------------------------------------------------------
def inference(arguments: argparse.Namespace) -> None:
    """A pair of 1 mm brains: PMR's field and warped image, and SyN's, two threads each."""
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "2"
    import torch

    from pmrpipe.base.malloc import keep_freed_memory
    from pmrpipe.images.volume import read_image
    from pmrpipe.methods.load import build, build_network
    from pmrpipe.methods.spec import spec
    from pmrpipe.stages.preprocess import space
    from pmrpipe.study.options.preprocessing import Gridded

    keep_freed_memory()  # as the verb that registers does, SyN too
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        space.run(Path(folder) / "brain.nii.gz", Path(folder) / "white.nii.gz", Gridded())
        brain = read_image(Path(folder) / "white.nii.gz")
    fixed = torch.from_numpy(brain.data)[None, None]
    moving = torch.roll(fixed, 3, 3)
    calls = {}
    for mm in (1.0, 2.0):
        network = build_network(spec("pmr"), mm).eval()

        def register(network=network) -> object:
            with torch.no_grad():
                return network.register(moving, fixed, brain.grid).apply(moving)

        calls[f"pmr_{mm:g}_mm"] = register
    syn = build(spec("syn"))
    calls["syn"] = lambda: syn.register(moving, fixed, brain.grid).apply(moving)
    times = in_turn(arguments.repeats, **calls)
    for name, seconds in times.items():
        print(f"{name}: {seconds:.2f} s, 1/{times['syn'] / seconds:.0f} of SyN's time")


# -- warping -------------------------------------------------------------------------------------
def warping(arguments: argparse.Namespace) -> None:
    """Warping one image against grid_sample with its grid ready, and the floor of bandwidth."""
    import torch
    import torch.nn.functional as F

    from pmrpipe.spatial.warp import _unit_grid, warp

    torch.set_num_threads(2)
    image, displacement = torch.rand(1, 1, *SHAPE), torch.randn(1, 3, *SHAPE)
    base, scale = _unit_grid(SHAPE, SHAPE, image.device, image.dtype)
    unit = torch.addcmul(base, displacement.permute(0, 2, 3, 4, 1).flip(-1), scale)
    # Read: three displacements and one value; write: one value. Neighbours come from the cache.
    moved = 5 * image.numel() * image.element_size()
    source = torch.rand(moved // 8)
    times = in_turn(
        arguments.repeats,
        warp=lambda: warp(image, displacement),
        grid_sample=lambda: F.grid_sample(image, unit, align_corners=True),
        floor=lambda: source.clone(),
    )
    print(
        f"warp {times['warp']:.3f} s, bare grid_sample {times['grid_sample']:.3f} s"
        f" (ratio {times['warp'] / times['grid_sample']:.2f}); its {moved / 1e6:.0f} MB copied in"
        f" {times['floor']:.3f} s (ratio {times['warp'] / times['floor']:.1f})"
    )


# -- voxel size ----------------------------------------------------------------------------------
def grids(arguments: argparse.Namespace) -> None:
    """One training step of `pmr` at growing resolution, two threads."""
    import numpy as np
    import torch

    from pmrpipe.images.volume import Grid
    from pmrpipe.methods.batch import Batch
    from pmrpipe.methods.load import build_network
    from pmrpipe.methods.spec import spec

    torch.set_num_threads(2)
    size, first = (160, 192, 176), None
    for mm in (2.0, 1.5, 1.0):
        shape = [round(n / mm) for n in size]
        network = build_network(spec("pmr"), mm)
        images = [torch.rand(1, 1, *shape) for _ in range(2)]
        grid = Grid(tuple(shape), np.diag([mm, mm, mm, 1.0]))

        def train(network=network, images=images, grid=grid) -> None:
            network.zero_grad()
            network.objective(Batch(*images, grid))["total"].backward()

        seconds = in_turn(arguments.repeats, step=train)["step"]
        first = first or seconds
        print(f"{mm:g} mm, {'x'.join(map(str, shape))}: {seconds:.2f} s, {seconds / first:.1f} x")


# -- floors --------------------------------------------------------------------------------------
def floors(arguments: argparse.Namespace) -> None:
    """What the machine could do at best, beside what is measured; two threads, float32.

    The best are a product of two large matrices and a copy of memory. Counted are the operations
    of convolutions, and for what has none the bytes of its inputs and outputs, each moved once.
    """
    import numpy as np
    import torch

    from pmrpipe.images.volume import Grid
    from pmrpipe.losses.similarity import local_correlation
    from pmrpipe.methods.batch import Batch
    from pmrpipe.methods.load import build_network
    from pmrpipe.methods.spec import spec
    from pmrpipe.spatial.warp import warp

    torch.set_num_threads(2)
    square, block = torch.rand(2048, 2048), torch.rand(2**26)
    best = in_turn(arguments.repeats, product=lambda: square @ square, copy=lambda: block.clone())
    per_second = 2 * 2048**3 / best["product"]
    bytes_per_second = 2 * 4 * block.numel() / best["copy"]
    print(f"best: {per_second / 1e9:.0f} GFLOP/s, {bytes_per_second / 1e9:.1f} GB/s\n")
    print("| what | floor | measured, s | ratio |\n|---|---|---|---|")
    small = [torch.rand(1, 1, 80, 96, 88) for _ in range(2)]
    grid = Grid((80, 96, 88), np.diag([2.0, 2.0, 2.0, 1.0]))
    network = build_network(spec("pmr"), 2.0)

    def infer() -> None:
        with torch.no_grad():
            network.eval().deform(*small, grid)

    def train() -> None:
        network.zero_grad()
        network.objective(Batch(*small, grid))["total"].backward()

    for name, call in {"`pmr` at 2 mm, inference": infer, "the same, training step": train}.items():
        needed, seconds = operations(call), in_turn(arguments.repeats, call=call)["call"]
        floor = needed / per_second
        row = f"{needed / 1e9:.0f} GFLOP: {floor:.2f} s | {seconds:.2f} | {seconds / floor:.1f}"
        print(f"| {name} | {row} |")
    image, displacement = torch.rand(1, 1, *SHAPE), torch.randn(1, 3, *SHAPE)
    leaf = image.clone().requires_grad_()
    calls = {
        "warp, 160x192x160": (5, lambda: warp(image, displacement)),
        "local correlation, forward and backward": (
            3, lambda: local_correlation(leaf, displacement[:, :1], 9).backward(),
        ),
    }  # fmt: skip
    for name, (passes, call) in calls.items():
        moved, seconds = 4 * passes * image.numel(), in_turn(arguments.repeats, call=call)["call"]
        floor = moved / bytes_per_second
        row = f"{moved / 1e6:.0f} MB: {floor:.3f} s | {seconds:.2f} | {seconds / floor:.0f}"
        print(f"| {name} | {row} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(required=True)
    for name, run in {
        "step": step,
        "one-step": one_step,
        "correlation": correlation,
        "inference": inference,
        "warp": warping,
        "grids": grids,
        "floors": floors,
    }.items():
        verb = verbs.add_parser(name, help=run.__doc__)
        verb.set_defaults(run=run)
        verb.add_argument("--repeats", type=int, default=3)
        if run is step:
            verb.add_argument("--peer-python", required=True)
        if run is one_step:
            verb.add_argument("engine")
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
