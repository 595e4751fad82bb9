"""Train one method and write weights.safetensors, model.json and history.tsv."""

from __future__ import annotations

import csv
import hashlib
import io
import logging
import os
import shutil
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.plugins.environments import LightningEnvironment
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch.utils.data import DataLoader

from pmrpipe.base.errors import InputError, WorkError
from pmrpipe.base.files import atomic, sha256, write_json, write_text
from pmrpipe.base.malloc import keep_freed_memory
from pmrpipe.methods.load import build_network
from pmrpipe.methods.spec import MethodSpec
from pmrpipe.methods.weights import MODEL, WEIGHTS, load_weights, save_weights
from pmrpipe.stages.train.module import Fit
from pmrpipe.study.pack import Arrays, open_arrays

Say = Callable[[str], None]


def _silent(text: str) -> None:
    """Say nothing."""


# Freed blocks that are kept: features of 16 channels at 2 mm and all below; at 1 mm more would
# raise the peak by half.
_KEPT_MB = 48
# Seconds between lines of progress, and between checkpoints, within an epoch.
_TELL_EVERY = 60.0
_SAVE_EVERY = 120.0


def fit(
    spec: MethodSpec,
    arrays_path: Path,
    out: Path,
    *,
    train: Sequence[str],
    validation: Sequence[str] = (),
    init: Path | None = None,
    seed: int = 2019,
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
    of the same network, with which training begins. `facts` goes into model.json.

    With several `devices` (GPUs, or processes on the CPU) each takes a pair of its own in every
    step and gradients are averaged (DDP). Images may take half of `memory_mb` (by default of
    what is free); a larger cohort is read from disk as it is drawn.

    Raises
    ------
    InputError : the arrays are missing, broken or lack a scan; `init` fits another network
    WorkError : the objective is not finite, memory runs out, or SIGTERM ended the run (its
        state is saved first)
    """
    keep_freed_memory(_KEPT_MB)
    arrays = open_arrays(arrays_path)
    _require(arrays, [*train, *validation])
    if len({key.split("_")[0] for key in train}) < 2:
        raise InputError(spec.name, "has fewer than two subjects to train on", "see key `split`")
    torch.set_num_threads(threads)
    _quiet()
    method = build_network(spec, network_mm, seed)
    begun = None
    if init is not None:
        load_weights(method, spec, init)
        begun = sha256(init / WEIGHTS)
    if int(os.environ.get("LOCAL_RANK", "0")):
        say, bar = _silent, False  # The first of several processes speaks for all.
    budget = memory_mb * 2**20 // 2 if memory_mb else None
    module = Fit(method, arrays, spec.schedule, train, validation, seed, budget)
    identity = _identity(spec, arrays, module, begun)
    keeper = Keeper(module, out, spec.schedule.max_minutes, say, identity)
    trainer = _trainer(module, keeper, device, devices, bar)
    method.precision = choose_precision(trainer.strategy.root_device.type)
    try:
        trainer.fit(module, *_loaders(module), **keeper.resume())
    except SIGTERMException:
        problem = f"stopped by SIGTERM at step {module.global_step}"
        raise WorkError(spec.name, problem, "run it again: it resumes there") from None
    except RuntimeError as error:
        if "memory" not in str(error).lower():
            raise
        remedy = "raise network_mm, or narrow the network in the method's YAML"
        raise WorkError(spec.name, "training ran out of memory", remedy) from None
    if trainer.is_global_zero:
        facts = {"devices": devices, "init_sha256": begun, **(facts or {})}
        keeper.finish(spec, train, validation, seed, threads, facts)


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


class Keeper(pl.Callback):
    """Keeps history, best weights and checkpoints; stops on time.

    A checkpoint is written after every epoch, every two minutes, and on SIGTERM.
    """

    def __init__(
        self, module: Fit, out: Path, minutes: float | None, say: Say, identity: str
    ) -> None:
        self.module, self.out, self.say, self.identity = module, Path(out), say, identity
        self.limit = minutes * 60 if minutes else None
        self.before, self.began = 0.0, time.monotonic()
        self.best = float("-inf")
        self.told = self.saved = 0.0

    @property
    def _last(self) -> Path:
        return self.out / "checkpoints" / "last.ckpt"

    @property
    def seconds(self) -> float:
        return self.before + time.monotonic() - self.began

    def resume(self) -> dict[str, Any]:
        """Arguments of Trainer.fit that continue an interrupted run of the same training."""
        try:
            state = torch.load(self._last, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            return {}
        except Exception:
            self.say(f"{self._last} is broken: training starts anew")
            return {}
        if state.get("identity") != self.identity:
            self.say(f"{self._last} is of another training: this one starts anew")
            return {}
        self.before, self.best = state["seconds"], state["best"]
        self.say(f"resuming at step {state['global_step']}")
        return {"ckpt_path": self._last, "weights_only": True}

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        module = self.module
        if self.limit is None:
            module.set_learning_rate(module.global_step / module.schedule.max_steps)
        else:
            # One clock for all processes: the rate must be the same in each.
            module.set_learning_rate(trainer.strategy.broadcast(self.seconds) / self.limit)

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, *_: Any) -> None:
        # All processes save together, so the first one's clock decides.
        if trainer.strategy.broadcast(self.seconds - self.saved > _SAVE_EVERY):
            self._save(trainer)
        if trainer.is_global_zero and self.seconds - self.told > _TELL_EVERY:
            self.told = self.seconds
            plan = self.module.schedule
            aim = f"{plan.max_minutes} minutes" if self.limit else f"{plan.max_steps} steps"
            objective = f"objective {float(outputs['loss']):.4g}"
            self.say(f"step {module.global_step}: {objective}, {self.seconds:.0f} s, of {aim}")
        if self.limit is not None:
            trainer.should_stop = bool(trainer.strategy.broadcast(self.seconds > self.limit))

    def on_train_epoch_end(self, trainer: pl.Trainer, module: Any) -> None:
        if not self.module.advanced:
            return  # A resumed run first ends the epoch that its checkpoint closed already.
        row = self.module.close_epoch()
        score = row.get(self.module.criterion)
        if trainer.is_global_zero:
            shown = f", {self.module.criterion} {score:.4f}" if score is not None else ""
            objective = f"objective {row['total']:.4g}"
            self.say(f"step {row['step']}: {objective}{shown}, {self.seconds:.0f} s")
            for board in trainer.loggers:
                board.log_metrics({k: v for k, v in row.items() if k != "step"}, int(row["step"]))
            if score is None or score > self.best:
                save_weights(self.module.method, self.out / "checkpoints" / "best")
        self.best = self.best if score is None else max(score, self.best)
        self._save(trainer)

    def on_exception(self, trainer: pl.Trainer, module: Any, exception: BaseException) -> None:
        # A state in mid-validation would not resume: there the last checkpoint has to do.
        if isinstance(exception, SIGTERMException) and trainer.training:
            self._save(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        self.saved = self.seconds
        if not trainer.is_global_zero:
            trainer.save_checkpoint(self._last)  # Joins in; the first process alone writes.
            return
        with atomic(self._last) as temporary:
            trainer.save_checkpoint(temporary)

    def on_save_checkpoint(self, trainer: pl.Trainer, module: Any, state: dict[str, Any]) -> None:
        state |= {"seconds": self.seconds, "best": self.best, "identity": self.identity}

    def finish(
        self,
        spec: MethodSpec,
        train: Sequence[str],
        validation: Sequence[str],
        seed: int,
        threads: int,
        facts: dict[str, Any],
    ) -> None:
        """Write the results of the whole training; weights last, since they mark its end."""
        module, grid = self.module, self.module.method.grid(self.module.arrays.grid)
        _write_history(self.out / "history.tsv", module.history)
        model = {
            "method": spec.name,
            "specification": spec.model_dump(mode="json"),
            "network_mm": module.method.network_mm,
            "grid": {"shape": list(grid.shape), "affine": grid.affine.tolist()},
            "train": list(train),
            "validation": list(validation),
            "parameters": sum(p.numel() for p in module.method.parameters()),
            "steps": module.history[-1]["step"] if module.history else 0,
            "seed": seed,
            "threads": threads,
            "hours": round(self.seconds / 3600, 4),
            "versions": {"torch": torch.__version__, "pytorch_lightning": pl.__version__},
        }
        best = self.best if self.best > float("-inf") else None
        write_json(self.out / MODEL, model | {f"best_{module.criterion}": best} | facts)
        with atomic(self.out / "weights.safetensors") as temporary:
            shutil.copyfile(self.out / "checkpoints" / "best" / "weights.safetensors", temporary)


def _trainer(module: Fit, keeper: Keeper, device: str, devices: int, bar: bool) -> pl.Trainer:
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


def _loaders(module: Fit) -> tuple[DataLoader, DataLoader | None]:
    """Loaders that only count: the module draws its own pairs."""
    train = DataLoader(range(module.schedule.validate_every), batch_size=1)
    pairs = len(module.validation_pairs)
    return train, DataLoader(range(pairs), batch_size=1) if pairs else None


def _identity(spec: MethodSpec, arrays: Arrays, module: Fit, begun: str | None) -> str:
    """What a checkpoint must share with a run that resumes it.

    A run may be longer than the one it continues, unless the length shapes its learning rate.
    """
    kept = spec.model_dump(mode="json")
    for name in () if spec.schedule.anneal else ("max_steps", "max_minutes"):
        kept["schedule"].pop(name)
    with open(arrays.path, "rb") as handle:
        content = hashlib.file_digest(handle, "sha256").hexdigest()
    shown = (kept, content, module.train_keys, module.validation_pairs, module.seed)
    shown = shown if begun is None else (*shown, begun)
    return hashlib.sha256(repr(shown).encode()).hexdigest()


def _require(arrays: Arrays, keys: Sequence[str]) -> None:
    missing = [key for key in keys if key not in arrays.keys]
    if missing:
        raise InputError(arrays.path, f"lacks {', '.join(missing)}", "run the rule pack again")


def _write_history(path: Path, rows: list[dict[str, float]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow([f"{row[name]:.6g}" if name in row else "n/a" for name in names])
    write_text(path, text.getvalue())


def _quiet() -> None:
    """Silence Lightning's hints: what matters is said by `say`."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    os.environ.setdefault("PL_DISABLE_FORK", "1")
