"""`pmrpipe preprocess` of one 1 mm head against the bare library calls for the same steps.

    python benchmarks/preprocess.py [--repeats 3] [--threads 2]

The bare script calls deepbet, antspyx and nibabel as their manuals show: brain extraction,
resampling to 1 mm, an affine with the same passes and no check of its result, one resampling of
the brain, its mask and its labels through it, z-scores, and the same six files. Both run in turn,
each in a process of its own, start-up and imports included.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[1] / "src"


def make_head(folder: Path) -> tuple[Path, Path]:
    """A simulated whole head and its label map, of about 1 mm."""
    from pmrpipe.stages.cohort.embedded.dataset import simulate_subject, write_dataset

    write_dataset(folder)
    simulate_subject(folder, 1)
    (t1w,) = folder.glob("sub-01/anat/*_T1w.nii.gz")
    (dseg,) = folder.rglob("sub-01*_dseg.nii.gz")
    return t1w, dseg


def bare(t1w: Path, dseg: Path, template: Path, out: Path, threads: int) -> None:
    """The same steps by the libraries alone."""
    import ants
    import nibabel as nib
    import numpy as np
    import torch
    from deepbet.bet import BrainExtraction

    from pmrpipe.stages.preprocess.brain import deepbet_weights

    torch.set_num_threads(threads)
    models = deepbet_weights()
    extractor = BrainExtraction(
        no_gpu=True,
        model_path=str(models / "model.pt"),
        bbox_model_path=str(models / "bbox_model.pt"),
    )
    brain, mask, _ = extractor.run(nib.load(t1w))
    nib.save(mask, out / "mask.nii.gz")
    nib.save(brain, out / "brain.nii.gz")
    native = ants.image_read(str(out / "brain.nii.gz"))
    isotropic = ants.resample_image(native, (1, 1, 1))
    ants.image_write(isotropic, str(out / "resampled.nii.gz"))
    fixed, transform = ants.image_read(str(template)), None
    for mm, shrink, iterations, share in ((4, (2, 1), (1000, 500), 0.4), (2, (1,), (50,), 0.1)):
        images = (ants.resample_image(image, (mm,) * 3) for image in (fixed, isotropic))
        transform = ants.registration(
            *images,
            type_of_transform="Affine",
            initial_transform=transform and transform["fwdtransforms"][0],
            aff_shrink_factors=shrink,
            aff_smoothing_sigmas=tuple(n - 1 for n in shrink),
            aff_iterations=iterations,
            aff_random_sampling_rate=share,
            outprefix=str(out / f"affine{mm}"),
        )
    through = transform["fwdtransforms"]
    moved = ants.apply_transforms(fixed, native, through)
    inside = ants.apply_transforms(
        fixed, ants.image_read(str(out / "mask.nii.gz")), through, "nearestNeighbor"
    )
    labels = ants.apply_transforms(fixed, ants.image_read(str(dseg)), through, "nearestNeighbor")
    values, held = moved.numpy(), inside.numpy() > 0
    z = np.clip((values - values[held].mean()) / values[held].std(), -3, 3)
    white = moved.new_image_like(np.where(held, (z + 3) / 6, 0).astype(np.float32))
    ants.image_write(white, str(out / "white.nii.gz"))
    ants.image_write(labels, str(out / "dseg.nii.gz"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bare", nargs=4, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        bare(*options.bare, options.threads)
        return
    from pmrpipe.stages.preprocess import space
    from pmrpipe.study.options.preprocessing import Gridded
    from pmrpipe.study.paths import Results

    threads = str(options.threads)
    environment = {
        **os.environ,
        "PYTHONPATH": str(SOURCES),
        "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": threads,
    }
    seconds: dict[str, list[float]] = {"pmrpipe": [], "bare": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        t1w, dseg = make_head(folder / "raw")
        results = Results(folder / "results", 1.0)
        space.run(results.template, results.preproc(results.space.key), Gridded())
        ours = ["-m", "pmrpipe", "preprocess", str(t1w), str(results.root), "--key", "sub-01"]
        ours += ["--labels", str(dseg), "--threads", threads]
        (folder / "bare").mkdir()
        theirs = [__file__, "--threads", threads, "--bare", str(t1w), str(dseg)]
        theirs += [str(results.template), str(folder / "bare")]
        for turn in range(options.repeats + 1):
            for who, words in (("pmrpipe", ours), ("bare", theirs)):
                began = time.perf_counter()
                subprocess.run([sys.executable, *words], env=environment, check=True)
                if turn:  # the first of each fills the caches
                    seconds[who].append(time.perf_counter() - began)
    median = {who: statistics.median(times) for who, times in seconds.items()}
    ratio = median["pmrpipe"] / median["bare"]
    print(
        f"pmrpipe preprocess {median['pmrpipe']:.1f} s, bare calls {median['bare']:.1f} s:"
        f" ratio {ratio:.2f} ({options.threads} threads, medians of {options.repeats})"
    )


if __name__ == "__main__":
    main()
