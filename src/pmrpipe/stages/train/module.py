"""The Lightning module: draws its own pairs, so that step n is the same in every run."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from pmrpipe.base.errors import WorkError
from pmrpipe.methods.batch import Batch
from pmrpipe.methods.network_method import NetworkMethod
from pmrpipe.methods.protocols import LearnsMomenta
from pmrpipe.methods.spec import Schedule
from pmrpipe.methods.stops import read, steps_between
from pmrpipe.stages.train.cohorts import TrainingCohort
from pmrpipe.stages.train.sampler import Sampler
from pmrpipe.stages.train.validation import correlation, mean_dice, validation_pairs
from pmrpipe.study.target_pack import Targets


class Fit(pl.LightningModule):
    """Minimise a method's objective over ordered pairs of training scans.

    An epoch is the stretch between two validations. `history` has one row for each.
    """

    def __init__(
        self,
        method: NetworkMethod,
        cohorts: Sequence[TrainingCohort],
        schedule: Schedule,
        validation: Sequence[str],
        seed: int,
        targets: Targets | None = None,
        budget: int | None = None,
        contrasts: tuple[str | None, str | None] = (None, None),
    ) -> None:
        super().__init__()
        self.method, self.schedule, self.seed = method, schedule, seed
        own = cohorts[0]
        self.arrays, self.grid = own.arrays, method.grid(own.arrays.grid)
        self.validation_pairs = validation_pairs(own.train, validation)
        paired = sorted({key for pair in self.validation_pairs for key in pair} - {*own.train})
        kernel = method.kernel if isinstance(method, LearnsMomenta) else None
        self.sampler = Sampler(
            cohorts,
            self.grid,
            schedule,
            validation=paired,
            targets=targets,
            budget=budget,
            intensities=method.intensities,
            kernel=kernel,
            contrasts=contrasts,
        )
        self.history: list[dict[str, float]] = []
        self._sums: dict[str, Tensor] = {}
        self._scores: list[float] = []
        self._stage: int | None = None

    # -- training -----------------------------------------------------------------------------
    def training_step(self, batch: Any, index: int) -> Tensor:
        """One pair; the draw and the noise follow from the seed, the step and the process."""
        number = self.global_step * self.trainer.world_size + self.global_rank
        draw = random.Random(f"{self.seed} {number}")
        torch.manual_seed(draw.getrandbits(48))
        terms = self.method.objective(self.sampler.batch(draw, self.device))
        for name, value in terms.items():
            self._sums[name] = self._sums.get(name, 0.0) + value.detach()
        if (self.global_step + 1) % steps_between(self.device) == 0:
            self._require_finite()
        return terms["total"]

    def _require_finite(self) -> None:
        """A sum that is no number: some step since the last validation was none."""
        total = read([self._sums["total"]])
        if total is not None and not math.isfinite(total[0]):
            problem = f"the objective is not finite at step {self.global_step}"
            remedy = "lower schedule.learning_rate in the method's YAML"
            raise WorkError("training", problem, remedy)

    def configure_optimizers(self) -> Any:
        plan = self.schedule
        optimiser = torch.optim.Adam(
            self.method.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
        )
        return optimiser

    def set_progress(self, done: float) -> None:
        """Stage and rate before each step; `done` is the part that lies behind, 0 to 1."""
        self._enter(self.schedule.stage(self.global_step, done))
        factor = (1 + math.cos(math.pi * min(done, 1.0))) / 2 if self.schedule.anneal else 1.0
        for group in self.optimizers().param_groups:  # type: ignore[union-attr]
            group["lr"] = self.schedule.learning_rate * factor

    def _enter(self, stage: int | None) -> None:
        if stage is not None and stage != self._stage:
            self.method.enter(self.schedule.stages[stage])
            self._stage = stage

    # -- validation ---------------------------------------------------------------------------
    def validation_step(self, batch: Any, index: int) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self._scores.append(self._score(self.validation_pairs[index]))

    def _score(self, pair: tuple[str, str]) -> float:
        labelled = {*pair} <= self.arrays.labelled and bool(self.arrays.labels)
        if self.sampler.targets is None and not labelled:
            return -float(self.method.objective(Batch(*self._images(pair), self.grid))["total"])
        deformation = self.method.deform(*self._images(self.sampler.shown(pair)), self.grid)
        if not labelled:
            # A teacher says nothing of validation pairs; what it would see is of one contrast.
            moving, fixed = self._images(pair)
            return correlation(fixed, deformation.apply(moving))
        source, target = (self.arrays.dseg(key) for key in pair)
        labels = torch.tensor(self.arrays.labels)
        return mean_dice(target, source, deformation.to("cpu"), labels)

    def _images(self, pair: tuple[str, str]) -> tuple[Tensor, Tensor]:
        """Moving and fixed of the own cohort, on the network's grid."""
        own = self.sampler.own.name
        moving, fixed = (self.sampler.images.get(own, key, self.device) for key in pair)
        return moving, fixed

    @property
    def criterion(self) -> str:
        """Name of what validation measures: higher is better."""
        labelled = all({*pair} <= self.arrays.labelled for pair in self.validation_pairs)
        if labelled and self.arrays.labels:
            return "validation_dice"
        return "validation_objective" if self.sampler.targets is None else "validation_correlation"

    @property
    def advanced(self) -> bool:
        """Whether a step was taken since the last row of the history."""
        return bool(self._sums)

    def close_epoch(self) -> dict[str, float]:
        """Append this stretch's row to the history and return it."""
        self._require_finite()
        steps = self.global_step - (int(self.history[-1]["step"]) if self.history else 0)
        row: dict[str, float] = {"step": self.global_step}
        for name, total in self._sums.items():
            mean = self.trainer.strategy.reduce(total, reduce_op="mean")
            row[name] = float(mean) / max(steps, 1)
        if self._scores:
            row[self.criterion] = sum(self._scores) / len(self._scores)
        self.history.append(row)
        self._sums, self._scores = {}, []
        return row

    # -- checkpoints --------------------------------------------------------------------------
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["history"], checkpoint["sums"] = self.history, dict(self._sums)
        checkpoint["stage"] = self._stage

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history, self._sums = list(checkpoint["history"]), dict(checkpoint["sums"])
        self._enter(checkpoint.get("stage"))
