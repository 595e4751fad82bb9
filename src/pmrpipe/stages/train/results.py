"""What a training leaves: weights.safetensors, model.json, history.tsv."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from pmrpipe.base.files import atomic, write_json, write_text
from pmrpipe.methods.spec import MethodSpec
from pmrpipe.methods.weights import MODEL, WEIGHTS
from pmrpipe.stages.train.keeper import Keeper
from pmrpipe.stages.train.module import Fit


def write_results(
    keeper: Keeper,
    spec: MethodSpec,
    train: Sequence[str],
    validation: Sequence[str],
    facts: dict[str, Any],
) -> None:
    """Write the results of a whole training; weights last, since they mark its end."""
    module, out = keeper.module, keeper.out
    _write_history(out / "history.tsv", module.history)
    grid = module.grid
    model = {
        "method": spec.name,
        "specification": spec.model_dump(mode="json"),
        "network_mm": module.method.network_mm,
        "grid": {"shape": list(grid.shape), "affine": grid.affine.tolist()},
        "train": list(train),
        "validation": list(validation),
        "parameters": sum(p.numel() for p in module.method.parameters()),
        "steps": module.history[-1]["step"] if module.history else 0,
        "seed": module.seed,
        "hours": round(keeper.seconds / 3600, 4),
        "versions": {"torch": torch.__version__, "pytorch_lightning": pl.__version__},
    }
    best = keeper.best if keeper.best > float("-inf") else None
    write_json(out / MODEL, model | {f"best_{module.criterion}": best} | _origin(module) | facts)
    with atomic(out / WEIGHTS) as temporary:
        shutil.copyfile(out / "checkpoints" / "best" / WEIGHTS, temporary)


def _origin(module: Fit) -> dict[str, Any]:
    """Whose scans and whose results it was trained on."""
    targets, sampler = module.sampler.targets, module.sampler
    cohorts = {"cohorts": {cohort.name: cohort.facts() for cohort in sampler.cohorts}}
    if targets is None:
        return cohorts
    return cohorts | {"teacher": {"method": targets.teacher, "pairs": len(targets.pairs)}}


def _write_history(path: Path, rows: list[dict[str, float]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow([f"{row[name]:.6g}" if name in row else "n/a" for name in names])
    write_text(path, text.getvalue())
