"""Registration across contrasts judged by what one contrast says: T2w to T1w against T1w to T1w.

    python benchmarks/multimodal.py ARRAYS sub-07 sub-08 --contrast inplaneT2 \\
        --networks FOLDER LABEL=FOLDER ... [--methods pmr-plus-contrasts]

ARRAYS is the pack of a study with `inputs: {also: [CONTRAST]}`, the scans any of its keys. Of every
ordered pair `lddmm` registers the two T1w; each network (a folder with its weights), each shipped
method and the affine alone map the same points from the moving scan in either contrast. Printed is
the distance between the two maps, in mm, over the part of the fixed brain that the moving scan of
the other contrast covers: its mean over the pairs, and the percentiles of the voxels of all pairs;
strain and folding of the maps from the other contrast beside it.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from itertools import permutations
from pathlib import Path

import torch
import yaml
from torch import Tensor

from pmrpipe.base.files import read_json
from pmrpipe.base.malloc import keep_freed_memory
from pmrpipe.images.volume import Grid
from pmrpipe.methods.across import across
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.load import load_method, shipped_weights
from pmrpipe.methods.protocols import Method
from pmrpipe.metrics.deformation import deformation_statistics
from pmrpipe.spatial.resize import resize_displacement
from pmrpipe.study.keys import in_contrast
from pmrpipe.study.pack import Arrays, open_arrays

_PERCENTILES = (0.25, 0.5, 0.75, 0.997)


class Affine:
    """What the affines alone give: nothing moves."""

    def register(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        return Deformation(torch.zeros(1, 3, *grid.shape), grid)


def networks(words: list[str], shipped: list[str]) -> dict[str, Method]:
    """Methods by label: those of folders with weights, and those whose weights are shipped."""
    methods: dict[str, Method] = {"affine": Affine()}
    for word in words:
        label, _, folder = word.rpartition("=")
        place = Path(folder)
        said = read_json(place / "model.json")
        with tempfile.TemporaryDirectory() as own:
            # As it was trained, whether its YAML is shipped or one's own.
            path = Path(own) / "method.yaml"
            path.write_text(yaml.safe_dump(said["specification"]), encoding="utf-8")
            method = load_method(str(path), weights=place, network_mm=said["network_mm"])[1]
        methods[label or said["method"]] = method
    for name in shipped:
        methods[name] = load_method(name, weights=shipped_weights(name))[1]
    return methods


def missed(deformation: Deformation, truth: Tensor, grid: Grid, where: Tensor) -> Tensor:
    """Distance of two maps at the voxels of `where`, mm."""
    apart = resize_displacement(deformation.displacement, grid.shape) - truth
    spacing = apart.new_tensor(grid.spacing).view(1, 3, 1, 1, 1)
    return (apart * spacing).square().sum(1).sqrt()[0][where]


def judge(arrays: Arrays, keys: list[str], contrast: str, methods: dict[str, Method]) -> None:
    """Register every ordered pair and print the table."""
    grid = arrays.grid
    rows: dict[tuple[str, str], list[Tensor]] = {}
    shapes: dict[str, list[tuple[float, float]]] = {}
    for moving, fixed in permutations(keys, 2):
        t1w, target = (arrays.image(key, grid.shape) for key in (moving, fixed))
        other = arrays.image(in_contrast(moving, contrast), grid.shape)
        truth = load_method("lddmm")[1].register(t1w, target, grid)
        displacement = resize_displacement(truth.displacement, grid.shape)
        covered = truth.apply((other > 0).float(), "nearest")[0, 0] > 0
        where = covered & (target[0, 0] > 0)
        for label, method in methods.items():
            plain = method.register(t1w, target, grid)
            alike = method if isinstance(method, Affine) else across(method)
            crossed = alike.register(other, target, grid)
            for seen, one in (("T1w", plain), (contrast, crossed)):
                rows.setdefault((label, seen), []).append(missed(one, displacement, grid, where))
            field = crossed.resampled(grid).millimetres()
            shape = deformation_statistics(field, grid, where.numpy())
            shapes.setdefault(label, []).append((shape.strain, shape.folding_percent))
        print(f"{moving} to {fixed}: {int(where.sum())} voxels", flush=True)
    report(rows, shapes, contrast)


def report(
    rows: dict[tuple[str, str], list[Tensor]],
    shapes: dict[str, list[tuple[float, float]]],
    contrast: str,
) -> None:
    """Means over the pairs, and percentiles of all of their voxels."""
    print("| method | moving | mean, mm | 25 % | 50 % | 75 % | 99.7 % | strain | folded, % |")
    print("|---|---|---|---|---|---|---|---|---|")
    for (label, seen), errors in rows.items():
        mean = statistics.mean(float(e.mean()) for e in errors)
        ordered = torch.cat(errors).sort().values
        cuts = [float(ordered[int(p * (len(ordered) - 1))]) for p in _PERCENTILES]
        cells = [f"{value:.2f}" for value in (mean, *cuts)]
        if seen == contrast:
            strain, folded = (statistics.mean(c) for c in zip(*shapes[label], strict=True))
            cells += [f"{strain:.3f}", f"{folded:.4f}"]
        else:
            cells += ["", ""]
        print(f"| {label} | {seen} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("arrays", type=Path)
    parser.add_argument("keys", nargs="+", help="T1w scans")
    parser.add_argument("--contrast", default="T2w")
    parser.add_argument("--networks", nargs="*", default=[], metavar="[LABEL=]FOLDER")
    parser.add_argument("--methods", nargs="*", default=["pmr-plus-contrasts"])
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    methods = networks(options.networks, options.methods)
    judge(open_arrays(options.arrays), options.keys, options.contrast, methods)


if __name__ == "__main__":
    main()
