"""Lightning's trainer as a training here needs it: quiet, one process a device, no sampler."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.plugins.environments import LightningEnvironment
from torch.utils.data import DataLoader

from pmrpipe.stages.train.keeper import Keeper
from pmrpipe.stages.train.module import Fit


def trainer_for(module: Fit, keeper: Keeper, device: str, devices: int, bar: bool) -> pl.Trainer:
    plan = module.schedule
    return pl.Trainer(
        accelerator="auto" if device == "auto" else device,
        devices=devices,
        strategy="ddp_find_unused_parameters_true" if devices > 1 else "auto",
        # Inside a Slurm job too: the job is Snakemake's, not Lightning's to start or requeue.
        plugins=[LightningEnvironment()],
        # Every process validates all pairs, so that all agree on the best weights.
        use_distributed_sampler=False,
        max_steps=plan.max_steps if plan.max_minutes is None else -1,
        max_epochs=-1,
        limit_train_batches=plan.validate_every,
        num_sanity_val_steps=0,
        gradient_clip_val=plan.clip,
        callbacks=[keeper],
        logger=_board(keeper.out),
        enable_checkpointing=False,
        enable_progress_bar=bar,
        enable_model_summary=False,
        default_root_dir=keeper.out,
    )


def _board(out: Path) -> TensorBoardLogger | bool:
    """What history.tsv gets, for TensorBoard as well, where tensorboardX is installed."""
    try:
        return TensorBoardLogger(out, name="tensorboard", version="")
    except ModuleNotFoundError:
        return False


def loaders(module: Fit) -> tuple[DataLoader, DataLoader | None]:
    """Loaders that only count: the module draws its own pairs."""
    pairs = len(module.validation_pairs)
    train = _counting(module.schedule.validate_every)
    return train, _counting(pairs) if pairs else None


def _counting(steps: int) -> DataLoader:
    numbers: Any = range(steps)
    return DataLoader(numbers, batch_size=1)


def choose_precision(kind: str) -> torch.dtype | None:
    """bfloat16 for the convolutions on a GPU and on CPUs that multiply it in AMX; None: float32.

    Without AMX a CPU is slower in bfloat16. A GPU older than Ampere has none either.
    """
    if kind == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore")
    except OSError:
        return None
    return torch.bfloat16 if kind == "cpu" and "amx_bf16" in flags else None


def quiet() -> None:
    """Silence Lightning's hints: what matters is said by `say`."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    os.environ.setdefault("PL_DISABLE_FORK", "1")
