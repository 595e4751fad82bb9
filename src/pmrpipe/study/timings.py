"""What a study cost, from the benchmark files that Snakemake writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd


def stage_costs(folder: Path) -> pd.DataFrame:
    """Wall time and peak memory of each stage, from Snakemake's benchmark files.

    Parameters
    ----------
    folder : holds one folder per stage with TSV files of the columns s and max_rss (MiB)

    Returns
    -------
    columns stage, jobs, seconds (sum), memory_mb (largest)
    """
    rows = []
    for stage in sorted(path for path in folder.glob("*") if path.is_dir()):
        listed = [_benchmark(path) for path in sorted(stage.rglob("*.tsv"))]
        costs = [cost for cost in listed if cost is not None]
        if costs:
            seconds, memory = zip(*costs, strict=True)
            peak = np.nanmax(memory) if np.isfinite(memory).any() else np.nan
            rows.append((stage.name, len(costs), float(np.nansum(seconds)), float(peak)))
    return pd.DataFrame(rows, columns=["stage", "jobs", "seconds", "memory_mb"])


def _benchmark(path: Path) -> tuple[float, float] | None:
    table = pd.read_csv(path, sep="\t", na_values=["-", "NA", "n/a"])
    if not {"s", "max_rss"} <= set(table.columns) or not len(table):
        return None
    last = table[["s", "max_rss"]].apply(pd.to_numeric, errors="coerce").iloc[-1]
    return float(last["s"]), float(last["max_rss"])
