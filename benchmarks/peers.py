"""pmrpipe's methods against their peers: the same brains, the same labels, one run.

    python benchmarks/peers.py config/malf.yaml ROOT --out rows.tsv --peer-python PYTHON \\
        --methods affine greedy pmr-plus+refine-20 syn convexadam fireants [--pairs 10]

The study must be preprocessed (target `preprocess`). Of its test pairs a fixed subset is taken,
evenly spread. `convexadam`, `fireants`, `syntx-syn`, `syntx-tvf` and `syntx-syngs` run in PYTHON,
an environment of their own with torch, convexAdam 0.2.0, fireants 1.5.0 and syntx 4.0.12 (with
antspyx and jax; later versions of it lack a dependency); every other name is a method of pmrpipe,
refined after `+refine-20` (`+refine-20-2mm`: no finer than 2 mm; `+refine-40-e0.5`: with
`refine_elastic` 0.5), networks with the weights named
by --weights METHOD=FOLDER, shipped ones, or those of the study. Seconds are the registration alone,
images in memory, all with the same number of threads. Rows are appended as they come: run again,
the command goes on. At the end it prints the means.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

SYNTX = ("syntx-syn", "syntx-tvf", "syntx-syngs")
PEERS = ("convexadam", "fireants", *SYNTX)
COLUMNS = ("method", "moving", "fixed", "dice", "folding_percent", "strain", "sdlogj", "seconds")


# -- in the peers' environment -------------------------------------------------------------------
def peer(
    name: str, moving: Path, fixed: Path, out: Path, threads: int, setting: float | None = None
) -> None:
    """Register by one peer, write its field and print the seconds; knows nothing of pmrpipe.

    setting : of its regularisation: FireANTs' `smooth_warp_sigma`, ConvexAdam's `lambda_weight`,
        the `flow_sigma` of syntx's syn; None: its default
    """
    import torch

    torch.set_num_threads(threads)
    if name in SYNTX:
        changed = {} if setting is None else {"flow_sigma": setting}
        seconds = _by_syntx(name.removeprefix("syntx-"), moving, fixed, out, **changed)
    elif name == "fireants":
        from fireants.io import BatchedImages, Image
        from fireants.registration.greedy import GreedyRegistration

        images = [
            BatchedImages([Image.load_file(str(path), device="cpu")]) for path in (fixed, moving)
        ]
        began = time.perf_counter()
        registration = GreedyRegistration(
            scales=[4, 2, 1],
            iterations=[200, 100, 50],
            fixed_images=images[0],
            moving_images=images[1],
            cc_kernel_size=5,
            progress_bar=False,
            **({} if setting is None else {"smooth_warp_sigma": setting}),
        )
        registration.optimize()
        seconds = time.perf_counter() - began
        registration.save_as_ants_transforms(str(out))
    else:
        import nibabel as nib
        import numpy as np
        from convexAdam.convex_adam_MIND import convex_adam_pt

        loaded = [nib.load(path) for path in (fixed, moving)]
        arrays = [torch.from_numpy(image.get_fdata(dtype=np.float32)) for image in loaded]
        began = time.perf_counter()
        # Half precision, its default, does not exist on a CPU.
        changed = {} if setting is None else {"lambda_weight": setting}
        device = torch.device("cpu")
        voxels = convex_adam_pt(*arrays, dtype=torch.float32, device=device, **changed)
        seconds = time.perf_counter() - began
        # To ITK's convention: mm, LPS.
        field = voxels @ loaded[0].affine[:3, :3].T * np.array([-1, -1, 1])
        image = nib.Nifti1Image(field[:, :, :, None].astype(np.float32), loaded[0].affine)
        image.header.set_intent("vector")
        nib.save(image, out)
    print(json.dumps({"seconds": seconds}))


def _by_syntx(model: str, moving: Path, fixed: Path, out: Path, **changed: float) -> float:
    """Its defaults, without the affine that it would put first: the images have one already."""
    import shutil

    import ants
    import syntx

    images = {"fixed": ants.image_read(str(fixed)), "moving": ants.image_read(str(moving))}
    began = time.perf_counter()
    answer = getattr(syntx, model)(**images, affine_iterations=0, **changed)
    seconds = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        chain = {"transformlist": answer["fwdtransforms"], "compose": f"{folder}/"}
        shutil.move(ants.apply_transforms(**images, **chain), out)
    return seconds


# -- in pmrpipe's --------------------------------------------------------------------------------
def by_peer(
    name: str,
    moving: Path,
    fixed: Path,
    out: Path,
    python: str,
    threads: int,
    setting: float | None = None,
) -> float:
    """The same in the peers' environment; its seconds."""
    words = [python, __file__, "--peer", name, str(moving), str(fixed), str(out)]
    words += ["--threads", str(threads)]
    words += [] if setting is None else ["--setting", str(setting)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name}: {done.stderr[-2000:]}")
    return float(json.loads(done.stdout.splitlines()[-1])["seconds"])


class Study:
    """The preprocessed study, its pairs, and how a field is judged."""

    def __init__(self, path: Path, root: str, threads: int, weights: dict[str, Path]) -> None:
        import yaml

        from pmrpipe.study.labels import scored_labels
        from pmrpipe.workflow.plan import Plan

        keys = yaml.safe_load(path.read_text(encoding="utf-8")) | {"root": root}
        self.plan = Plan.of(keys)
        self.results, self.threads, self.weights = self.plan.results, threads, weights
        self.labels = scored_labels(self.plan.study.labels)

    def register(self, name: str, moving: str, fixed: str, python: str) -> dict[str, float]:
        """Dice, regularity and seconds of one pair."""
        paths = [self.results.preproc(key) for key in (moving, fixed)]
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "field.nii.gz"
            if name in PEERS:
                seconds = by_peer(name, *paths, out, python, self.threads)
            else:
                seconds = self._by_us(name, *paths, out)
            return {**self._judge(out, moving, fixed), "seconds": round(seconds, 2)}

    def _by_us(self, name: str, moving: Path, fixed: Path, out: Path) -> float:
        import torch

        from pmrpipe.images.transforms import write_field
        from pmrpipe.images.volume import read_image

        torch.set_num_threads(self.threads)
        volumes = [read_image(path) for path in (moving, fixed)]
        images = [torch.from_numpy(volume.data)[None, None] for volume in volumes]
        method = self._method(name)
        began = time.perf_counter()
        deformation = method.register(*images, volumes[1].grid)
        seconds = time.perf_counter() - began
        write_field(out, deformation.millimetres(), deformation.grid)
        return seconds

    def _method(self, name: str) -> object:
        from pmrpipe.methods.load import load_method, shipped_weights
        from pmrpipe.methods.refine import Refined, Refinement
        from pmrpipe.methods.spec import spec

        name, _, refinement = name.partition("+refine-")
        weights = None
        if spec(name).learned:
            weights = self.weights.get(name) or shipped_weights(name)
            weights = weights or self.results.training(name)
        _, method = load_method(name, weights=weights, network_mm=self.plan.study.network_mm)
        if not refinement:
            return method
        steps, *more = refinement.split("-")
        plan = Refinement(steps=int(steps))
        for word in more:
            if word.startswith("e"):
                plan = replace(plan, elastic=float(word[1:]))
            else:
                plan = plan.down_to(float(word.removesuffix("mm")))
        return Refined(method, plan)

    def _judge(self, path: Path, moving: str, fixed: str) -> dict[str, float]:
        import numpy as np

        from pmrpipe.images.resampling import resample, sample_displacement, sample_points
        from pmrpipe.images.transforms import read_field
        from pmrpipe.images.volume import read_image, read_labels
        from pmrpipe.metrics.deformation import deformation_statistics
        from pmrpipe.metrics.overlap import label_overlap

        target = read_labels(self.results.dseg(fixed))
        field = sample_displacement(read_field(path), target.grid)
        points = sample_points(target.grid, field=(field, target.grid))
        warped = resample(read_labels(self.results.dseg(moving)), points, "nearest")
        brain = read_image(self.results.preproc(fixed)).data > 0
        regular = deformation_statistics(field, target.grid, brain)
        dice = label_overlap(target.data, warped).only(np.array(self.labels)).dice.mean()
        return {
            "dice": round(float(dice), 5),
            "folding_percent": round(regular.folding_percent, 5),
            "strain": round(regular.strain, 4),
            "sdlogj": round(regular.sdlogj, 4),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", nargs="?", type=Path)
    parser.add_argument("root", nargs="?")
    parser.add_argument("--out", type=Path, default=Path("peers.tsv"))
    parser.add_argument("--methods", nargs="+", default=["affine", "greedy", "syn", *PEERS])
    parser.add_argument("--weights", nargs="*", default=[], metavar="METHOD=FOLDER")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--split", default="test", choices=["test", "validation"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--peer", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--setting", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        name, *paths = options.peer
        peer(name, *map(Path, paths), options.threads, options.setting)
        return
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(options.threads)
    import pandas as pd

    from pmrpipe.base.malloc import keep_freed_memory

    keep_freed_memory()  # as `pmrpipe register` does
    given = {name: Path(f) for name, f in (word.split("=", 1) for word in options.weights)}
    study = Study(options.study, options.root, options.threads, given)
    keys = [scan.key for scan in study.plan.cohort.of(options.split)]
    pairs = [(m, f) for m in keys for f in keys if m != f]
    pairs = pairs[:: max(1, -(-len(pairs) // options.pairs))]
    done = set()
    if options.out.exists():
        rows = pd.read_csv(options.out, sep="\t")
        done = set(rows[["method", "moving", "fixed"]].itertuples(index=False, name=None))
    else:
        options.out.write_text("\t".join(COLUMNS) + "\n", encoding="utf-8")
    for moving, fixed in pairs:
        for name in options.methods:
            if (name, moving, fixed) not in done:
                registered = study.register(name, moving, fixed, options.peer_python)
                row = [name, moving, fixed, *(registered[column] for column in COLUMNS[3:])]
                with options.out.open("a", encoding="utf-8") as handle:
                    handle.write("\t".join(map(str, row)) + "\n")
                print(*row, sep="\t", flush=True)
    rows = pd.read_csv(options.out, sep="\t").groupby("method")[list(COLUMNS[3:])]
    print(rows.mean().round(4).to_string())


if __name__ == "__main__":
    main()
