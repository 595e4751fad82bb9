"""What is kept on the way: history, best weights, checkpoints; and when a training stops."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.exceptions import SIGTERMException

from pmrpipe.base.files import atomic
from pmrpipe.methods.weights import save_weights
from pmrpipe.stages.train.module import Fit

Say = Callable[[str], None]

# Seconds between lines of progress, and between checkpoints, within an epoch.
_TELL_EVERY = 60.0
_SAVE_EVERY = 120.0


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
            module.set_progress(module.global_step / module.schedule.max_steps)
        else:
            # One clock for all processes: rate and stage must be the same in each.
            module.set_progress(trainer.strategy.broadcast(self.seconds) / self.limit)

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
