"""One job of training, from its options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pmrpipe.base.device import chosen_device
from pmrpipe.base.versions import commit
from pmrpipe.methods.spec import spec
from pmrpipe.stages.train.fit import Say, fit
from pmrpipe.study.options.training import Training


def train(arrays: Path, out: Path, options: Training, *, say: Say, bar: bool = False) -> None:
    """Train a method on packed arrays; resume from `out`/checkpoints if they are there.

    Parameters
    ----------
    out : folder for weights.safetensors, model.json and history.tsv
    bar : whether a progress bar is drawn

    Raises
    ------
    InputError, WorkError : as `fit`; no GPU is visible where one is asked for
    """
    if options.device == "cuda":
        chosen_device(options.device)
    method = spec(options.method)
    schedule = method.schedule.model_copy(update=options.changes())
    facts: dict[str, Any] = {"commit": commit()}
    fit(
        method.model_copy(update={"schedule": schedule}),
        arrays,
        out,
        train=options.train,
        validation=options.validation,
        cohorts=options.cohorts,
        weights=options.cohort_weights,
        targets=options.targets,
        init=options.init,
        seed=options.seed,
        network_mm=options.network_mm,
        threads=options.threads,
        device="gpu" if options.device == "cuda" else options.device,
        devices=options.devices,
        memory_mb=options.memory_mb,
        say=say,
        bar=bar,
        facts=facts,
    )
