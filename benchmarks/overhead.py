"""What the workflow costs beside its work: wall time of a run against the work of its jobs.

    python benchmarks/overhead.py results/embedded .snakemake/log/NAME.snakemake.log --cores 2

The log is that of a run that made everything. Work is what Snakemake's benchmarks measured less the
start-up of each job's process, which is timed here: Python with the libraries of the stage. The
bound is the larger of the work spread over all cores and the longest chain of jobs.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pandas as pd

# What a job of the stage loads before it begins.
LIBRARIES = {
    "simulate": "nibabel, scipy.ndimage, nilearn.datasets",
    "space": "nibabel, scipy.ndimage, nilearn.datasets",
    "brain": "torch, deepbet",
    "resample": "nibabel, nipype",
    "affine": "ants",
    "whiten": "nibabel, nipype",
    "labels": "nibabel, nipype",
    "qc": "nibabel, matplotlib",
    "cohort": "pandas, pydantic",
    "pack": "nibabel, safetensors",
    "train": "torch, pytorch_lightning",
    "register": "torch",
    "register/syn": "ants",
    "score": "pandas, scipy.ndimage",
    "report": "pandas, matplotlib",
}
CHAIN = ("simulate", "brain", "affine", "whiten", "pack", "train", "register", "score", "report")


def startup(libraries: str, repeats: int = 3) -> float:
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", f"import {libraries}"], check=True)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def wall(log: Path) -> float:
    """Seconds between the first and the last date of Snakemake's log."""
    dates = re.findall(r"^\[(\w{3} \w{3} +\d+ [\d:]+ \d{4})\]$", log.read_text(), re.MULTILINE)
    first, last = (datetime.strptime(d, "%a %b %d %H:%M:%S %Y") for d in (dates[0], dates[-1]))
    return (last - first).total_seconds()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("log", type=Path)
    parser.add_argument("--cores", type=int, default=2)
    options = parser.parse_args()
    starts = {stage: startup(libraries) for stage, libraries in LIBRARIES.items()}
    rows = []
    timings = options.results / "timings"
    for path in sorted(timings.rglob("*.tsv")):
        words = path.relative_to(timings).parts
        seconds = float(pd.read_csv(path, sep="\t", na_values="-")["s"].iloc[-1])
        start = starts.get("/".join(words[:2]), starts[words[0]])
        rows.append((words[0], seconds, max(0.0, seconds - start)))
    table = pd.DataFrame(rows, columns=["stage", "seconds", "work"])
    stages = table.groupby("stage")["work"].agg(["count", "sum", "max"])
    print(stages.round(1).to_string())
    spread = table["work"].sum() / options.cores
    chain = stages["max"].reindex(list(CHAIN)).sum()
    seconds, bound = wall(options.log), max(spread, chain)
    print(
        f"wall {seconds:.0f} s; work {table['work'].sum():.0f} s, over {options.cores} cores "
        f"{spread:.0f} s; longest chain {chain:.0f} s; wall / bound {seconds / bound:.2f}"
    )


if __name__ == "__main__":
    main()
