"""Planning of large studies: a dry run before anything ran, and a run when all is done.

    python benchmarks/scale.py [10 100 1000 10000] [--preprocessing whole]

The scans are empty files in one folder per subject, the pairs as many random ones as there are
subjects, the methods `affine` and `syn`. Prints jobs, seconds and largest memory of each call.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]


def make_cohort(root: Path, subjects: int) -> None:
    for n in range(subjects):
        scan = root / f"sub-{n:05d}" / "anat" / f"sub-{n:05d}_T1w.nii.gz"
        scan.parent.mkdir(parents=True)
        scan.touch()


def snakemake(folder: Path, preprocessing: str, *words: str) -> tuple[str, float, float]:
    """What it printed, seconds, and largest memory in MB."""
    pairs = "pairs={'policy': 'random', 'k': 1}"
    study = ["cohort=large", f"root={folder / 'raw'}", "methods=['affine','syn']", pairs]
    split = ["split={'test': 1.0}", f"preprocessing={preprocessing}"]
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *words, "--directory"]
    command += [str(folder), "--configfile", str(REPO / "config" / "bids.yaml"), "--config"]
    with (folder / "printed.txt").open("w+b") as printed:
        began = time.perf_counter()
        process = subprocess.Popen(
            [*command, *study, *split], cwd=REPO, stdout=printed, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        printed.seek(0)
        text = printed.read().decode()
    if status:
        sys.exit(f"snakemake failed: {text[-2000:]}")
    return text, seconds, used.ru_maxrss / 1024


def measure(subjects: int, preprocessing: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_cohort(folder / "raw", subjects)
        _, seconds, memory = snakemake(folder, preprocessing, "--dry-run", "--quiet")
        text, _, _ = snakemake(folder, preprocessing, "--dry-run")  # names all outputs
        jobs = re.search(r"^total +(\d+)$", text, re.MULTILINE)
        outputs = re.findall(r"^    output: (.*)$", text, re.MULTILINE)
        for line in outputs:
            for made in line.split(", "):
                path = folder / made
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
        same = time.time()
        for path in folder.rglob("*"):
            os.utime(path, (same, same))
        said, again, again_memory = snakemake(folder, preprocessing)
        if "Nothing to be done" not in said:
            sys.exit(f"the second run did something: {said[-2000:]}")
        print(
            f"| {subjects} | {jobs and jobs[1]} | {seconds:.1f} | {memory:.0f} "
            f"| {again:.1f} | {again_memory:.0f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("subjects", nargs="*", type=int, default=[10, 100, 1000, 10000])
    parser.add_argument("--preprocessing", choices=["stepwise", "whole"], default="stepwise")
    options = parser.parse_args()
    print("| subjects | jobs | dry run, s | MB | no-op run, s | MB |\n|---|---|---|---|---|---|")
    for subjects in options.subjects:
        measure(subjects, options.preprocessing)


if __name__ == "__main__":
    main()
