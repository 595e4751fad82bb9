"""Registration across contrasts where the truth is known: simulated heads.

    python benchmarks/contrasts.py STUDY.yaml --moving T1w T2w PDw FLAIR \\
        --methods affine pmr-plus pmr-plus+refine-20 greedy syn [--weights METHOD=FOLDER]

STUDY.yaml is a study of the embedded cohort with `embedded.contrasts`; before, target `preprocess`
must have been run with `pairs: {moving: CONTRAST, fixed: T1w}` for each of them. Ordered pairs of
its tested subjects, the fixed scan a T1w unless --fixed says another. `error_mm` is the mean
distance, over the template's brain, between the map and the true one, both between the brains as
the affines left them. Methods are named as in benchmarks/peers.py, and made for two contrasts as
`pmrpipe register` does it.
Rows are appended to --out as they come; means are printed at the end.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from itertools import permutations
from pathlib import Path

import numpy as np
from peers import Study

COLUMNS = (
    "method",
    "contrast",
    "moving",
    "fixed",
    "error_mm",
    "dice",
    "strain",
    "sdlogj",
    "seconds",
)
_MM = 2.0


class Contrasts(Study):
    """A study of simulated heads, whose deformations are known."""

    def true_places(self, subject: str, key: str) -> np.ndarray:
        """Where points of the template's brain lie in a scan after its affine, (N, 3), RAS mm."""
        from pmrpipe.images.resampling import moved_points
        from pmrpipe.images.transforms import read_affine, read_transform

        points = self._brain_points()
        folder = Path(self.plan.study.root) / "derivatives" / "truth" / subject / "anat"
        name = "{}_from-{}_to-{}_mode-image_xfm.{}"
        chain = [
            read_transform(folder / name.format(subject, "T1w", self.results.space.name, "nii.gz"))
        ]
        if (contrast := key.removeprefix(f"{subject}_")) != key:
            chain.append(read_affine(folder / name.format(subject, contrast, "T1w", "mat")))
        chain.append(np.linalg.inv(read_affine(self.results.affine(key))))
        return np.moveaxis(moved_points(np.moveaxis(points, -1, 0), chain), 0, -1)

    def _brain_points(self) -> np.ndarray:
        grid = self.results.space.grid(_MM)
        inside = np.argwhere(self.results.space.brain(_MM).data > 0.1)
        return inside @ grid.affine[:3, :3].T + grid.affine[:3, 3]

    def judged(
        self, name: str, subjects: tuple[str, str], contrasts: tuple[str, str]
    ) -> dict[str, float]:
        """One pair: error on the truth, overlap, regularity, seconds."""
        import torch

        from pmrpipe.images.resampling import moved_points
        from pmrpipe.images.transforms import read_field, write_field
        from pmrpipe.images.volume import read_image
        from pmrpipe.methods.across import across
        from pmrpipe.study.keys import scan_key

        torch.set_num_threads(self.threads)
        keys = list(map(scan_key, subjects, contrasts))
        volumes = [read_image(self.results.preproc(key)) for key in keys]
        images = [torch.from_numpy(volume.data)[None, None] for volume in volumes]
        method = self._method(name)
        if contrasts[0] != contrasts[1]:
            method = across(method)
        began = time.perf_counter()
        deformation = method.register(*images, volumes[1].grid)
        seconds = time.perf_counter() - began
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "field.nii.gz"
            write_field(out, deformation.millimetres(), deformation.grid)
            start, end = (
                self.true_places(s, k) for s, k in zip(subjects[::-1], keys[::-1], strict=True)
            )
            moved = np.moveaxis(moved_points(start.T, [read_field(out)]), 0, -1)
            error = float(np.linalg.norm(moved - end, axis=1).mean())
            return {
                "error_mm": round(error, 3),
                **self._judge(out, *keys),
                "seconds": round(seconds, 1),
            }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("--out", type=Path, default=Path("contrasts.tsv"))
    parser.add_argument("--moving", nargs="+", default=["T1w", "T2w", "PDw", "FLAIR"])
    parser.add_argument("--fixed", default="T1w")
    parser.add_argument("--methods", nargs="+", default=["affine", "pmr-plus+refine-20", "syn"])
    parser.add_argument("--weights", nargs="*", default=[], metavar="METHOD=FOLDER")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(options.threads)
    import pandas as pd
    import yaml

    from pmrpipe.base.malloc import keep_freed_memory

    keep_freed_memory()
    weights = {name: Path(f) for name, f in (word.split("=", 1) for word in options.weights)}
    root = yaml.safe_load(options.study.read_text(encoding="utf-8"))["root"]
    study = Contrasts(options.study, root, options.threads, weights)
    subjects = sorted({scan.key for scan in study.plan.cohort.of("test")})
    pairs = list(permutations(subjects, 2))
    pairs = pairs[:: max(1, -(-len(pairs) // options.pairs))]
    rows = []
    for pair in pairs:
        for contrast in options.moving:
            for name in options.methods:
                row = {"method": name, "contrast": contrast, "moving": pair[0], "fixed": pair[1]}
                row |= study.judged(name, pair, (contrast, options.fixed))
                rows.append({column: row[column] for column in COLUMNS})
                print(*rows[-1].values(), sep="\t", flush=True)
                pd.DataFrame(rows).to_csv(options.out, sep="\t", index=False)
    means = pd.DataFrame(rows).groupby(["method", "contrast"], sort=False)[list(COLUMNS[4:])]
    print(means.mean().round(3).to_string())


if __name__ == "__main__":
    main()
