"""Train one method and write weights.safetensors, model.json and history.tsv."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.utilities.exceptions import SIGTERMException

from pmrpipe.base.device import memory_told
from pmrpipe.base.errors import InputError, WorkError
from pmrpipe.base.files import sha256
from pmrpipe.base.malloc import keep_freed_memory
from pmrpipe.base.seed import SEED
from pmrpipe.methods.load import build_network
from pmrpipe.methods.network_method import NetworkMethod
from pmrpipe.methods.spec import MethodSpec
from pmrpipe.methods.weights import WEIGHTS, load_weights
from pmrpipe.stages.train.cohorts import TrainingCohort, further_cohorts, own_cohort
from pmrpipe.stages.train.keeper import Keeper, Say
from pmrpipe.stages.train.module import Fit
from pmrpipe.stages.train.results import write_results
from pmrpipe.stages.train.trainer import choose_precision, loaders, quiet, trainer_for
from pmrpipe.study.target_pack import Targets, open_targets

# Freed blocks that are kept: features of 16 channels at 2 mm and all below; at 1 mm more would
# raise the peak by half.
_KEPT_MB = 48


def _silent(text: str) -> None:
    """Say nothing."""


def fit(
    spec: MethodSpec,
    arrays_path: Path,
    out: Path,
    *,
    train: Sequence[str],
    validation: Sequence[str] = (),
    cohorts: Mapping[str, Path] | None = None,
    weights: Mapping[str, float] | None = None,
    targets: Path | None = None,
    init: Path | None = None,
    seed: int = SEED,
    network_mm: float | None = None,
    threads: int = 1,
    device: str = "auto",
    devices: int = 1,
    memory_mb: int | None = None,
    say: Say = _silent,
    bar: bool = False,
    facts: dict[str, Any] | None = None,
) -> None:
    """Train `spec` on the packed scans `train`; resume from checkpoints/last.ckpt if it is there.

    Weights are those of the best validation, or the last ones without validation scans. The
    same seed on the same kind of CPU and number of threads gives the same weights and history,
    interrupted or not, unless the schedule is limited by minutes. `init` is a folder with weights
    of the same network or of a part of it, with which training begins. `facts` goes into
    model.json.

    With several `devices` (GPUs, or processes on the CPU) each takes a pair of its own in every
    step and gradients are averaged (DDP). Images may take half of `memory_mb` (by default of
    what is free); a larger cohort is read from disk as it is drawn.

    Parameters
    ----------
    cohorts : arrays that other studies packed, by name; every step draws its cohort by weight
    weights : of cohorts by name, 1 where none is said; the study's own under its own name
    targets : packed fields of the method's teacher, whose pairs alone are drawn then

    Raises
    ------
    InputError : arrays or targets are missing, broken, on another grid or lack a scan; fewer than
        two subjects of a cohort; `init` fits another network; a teacher without targets
    WorkError : the objective is not finite, memory runs out, or SIGTERM ended the run (its
        state is saved first)
    """
    keep_freed_memory(_KEPT_MB)
    weights = weights or {}
    own = own_cohort(arrays_path, train, validation, weights)
    sources = [own, *further_cohorts(own, cohorts or {}, weights)]
    taught = _taught(spec, targets)
    torch.set_num_threads(threads)
    quiet()
    method, begun = _network(spec, network_mm, seed, init)
    if int(os.environ.get("LOCAL_RANK", "0")):
        say, bar = _silent, False  # The first of several processes speaks for all.
    budget = memory_mb * 2**20 // 2 if memory_mb else None
    module = Fit(
        method,
        sources,
        spec.schedule,
        validation,
        seed,
        targets=taught,
        budget=budget,
        contrasts=spec.teacher.shown if spec.teacher else (None, None),
    )
    identity = _identity(spec, module, begun)
    keeper = Keeper(module, out, spec.schedule.max_minutes, say, identity)
    if not _run(spec, module, keeper, device, devices, bar):
        return
    facts = {"threads": threads, "devices": devices, "init_sha256": begun, **(facts or {})}
    write_results(keeper, spec, train, validation, facts)


def _run(
    spec: MethodSpec, module: Fit, keeper: Keeper, device: str, devices: int, bar: bool
) -> bool:
    """Train; whether this is the process that writes."""
    trainer = trainer_for(module, keeper, device, devices, bar)
    module.method.precision = choose_precision(trainer.strategy.root_device.type)
    remedy = "raise network_mm, or narrow the network in the method's YAML"
    try:
        with memory_told(spec.name, remedy):
            trainer.fit(module, *loaders(module), **keeper.resume())
    except SIGTERMException:
        problem = f"stopped by SIGTERM at step {module.global_step}"
        raise WorkError(spec.name, problem, "run it again: it resumes there") from None
    return trainer.is_global_zero


def _network(
    spec: MethodSpec, network_mm: float | None, seed: int, init: Path | None
) -> tuple[NetworkMethod, str | None]:
    """The method with its first weights, and the checksum of those that it was given."""
    method = build_network(spec, network_mm, seed)
    if spec.schedule.augmentation.contrast and not method.learns_contrasts:
        problem = f"is not for {type(method).__name__}, which would compare two contrasts"
        raise InputError("schedule.augmentation.contrast", problem, "leave it out")
    if init is None:
        return method, None
    load_weights(method, spec, init, to_begin=True)
    return method, sha256(init / WEIGHTS)


def _taught(spec: MethodSpec, path: Path | None) -> Targets | None:
    """The teacher's results, where the method has one."""
    if spec.teacher is None:
        return None
    if path is None:
        problem = f"learns from `{spec.teacher.method}`, of which there are no results"
        raise InputError(spec.name, problem, "name the packed fields with --targets")
    return open_targets(path)


def _identity(spec: MethodSpec, module: Fit, begun: str | None) -> str:
    """What a checkpoint must share with a run that resumes it.

    A run may be longer than the one it continues, unless the length shapes its learning rate or
    its stages.
    """
    kept = spec.model_dump(mode="json")
    for name in () if spec.schedule.shaped_by_length else ("max_steps", "max_minutes"):
        kept["schedule"].pop(name)
    sampler = module.sampler
    sources = [_source(cohort) for cohort in sampler.cohorts]
    targets = sha256(sampler.targets.path) if sampler.targets else None
    whole = (kept, sources, targets, module.validation_pairs, module.seed, begun)
    return hashlib.sha256(repr(whole).encode()).hexdigest()


def _source(cohort: TrainingCohort) -> tuple[Any, ...]:
    return cohort.name, cohort.weight, cohort.train, sha256(cohort.arrays.path)
