"""What N4 does to the registration of scans with a strong intensity bias.

    python benchmarks/bias.py FOLDER [--scans 4] [--method greedy]

FOLDER holds extracted brains without label maps (ds002748). Each scan is preprocessed without N4
and with it, and all ordered pairs are registered by a classical method. Both are judged by the
same labels: grey and white matter by k-means of the N4-corrected native scan. Prints the mean Dice
of both tissues, SDlogJ, and the mean difference of Dice with its standard error over the pairs.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from pmrpipe.images.volume import Volume, read_image, read_labels, write_volume
from pmrpipe.methods.load import build
from pmrpipe.methods.spec import spec
from pmrpipe.spatial.resize import resize_image
from pmrpipe.stages.train.validation import mean_dice
from pmrpipe.study.paths import Results

GREY_WHITE = torch.tensor([2, 3])


def pmrpipe(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "pmrpipe", *map(str, words)], check=True)


def tissues(brain: Volume) -> np.ndarray:
    """1 fluid, 2 grey, 3 white matter, 0 outside: three-class k-means of the intensities."""
    inside = brain.data > 0
    values = brain.data[inside]
    centres = np.quantile(values, (0.1, 0.5, 0.9))
    for _ in range(30):
        nearest = np.searchsorted((centres[1:] + centres[:-1]) / 2, values)
        centres = np.array([values[nearest == n].mean() for n in range(3)])
    out = np.zeros(brain.shape, np.int16)
    out[inside] = nearest + 1
    return out


def prepare(t1w: Path, folder: Path, key: str) -> None:
    """Both chains of one scan, with its tissues as label map."""
    options = ["--state", "brain", "--method", "nonzero"]
    corrected, dseg = folder / f"{key}_n4.nii.gz", folder / f"{key}_dseg.nii.gz"
    pmrpipe("brain", t1w, folder / f"{key}_mask.nii.gz", corrected, *options, "--n4")
    brain = read_image(corrected)
    write_volume(dseg, tissues(brain), brain.affine)
    for chain, n4 in (("plain", []), ("n4", ["--n4"])):
        pmrpipe("preprocess", t1w, folder / chain, "--key", key, *options, *n4, "--labels", dseg)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scans", type=int, default=4)
    parser.add_argument("--method", default="greedy", help="a classical method")
    options = parser.parse_args()
    torch.set_num_threads(2)
    files = sorted(options.folder.rglob("*_T1w.nii*"))[: options.scans]
    keys = [path.name.partition("_")[0] for path in files]
    method = build(spec(options.method))
    dice: dict[str, list[float]] = {"plain": [], "n4": []}
    rough: dict[str, list[float]] = {"plain": [], "n4": []}
    with tempfile.TemporaryDirectory() as name:
        for path, key in zip(files, keys, strict=True):
            prepare(path, Path(name), key)
        for (moving, fixed), chain in itertools.product(itertools.permutations(keys, 2), dice):
            results = Results(Path(name) / chain, 1.0)
            brains = [read_image(results.preproc(key)) for key in (moving, fixed)]
            images = [torch.from_numpy(brain.data)[None, None] for brain in brains]
            deformation = method.register(*images, brains[1].grid)
            maps = [
                torch.from_numpy(read_labels(results.dseg(key)).data.astype(np.int32))[None, None]
                for key in (fixed, moving)
            ]
            dice[chain].append(mean_dice(*maps, deformation, GREY_WHITE))
            inside = resize_image(images[1], deformation.grid.shape)[0, 0] > 0
            rough[chain].append(
                float(deformation.jacobian()[0][inside].clamp(min=1e-3).log().std())
            )
    for chain in dice:
        print(
            f"{chain}: tissue Dice {statistics.mean(dice[chain]):.4f},"
            f" SDlogJ {statistics.mean(rough[chain]):.3f}"
        )
    gains = [with_n4 - without for without, with_n4 in zip(*dice.values(), strict=True)]
    error = statistics.stdev(gains) / len(gains) ** 0.5
    print(f"N4 changes the Dice by {statistics.mean(gains):+.4f} ({error:.4f}), {len(gains)} pairs")


if __name__ == "__main__":
    main()
