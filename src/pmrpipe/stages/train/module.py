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
from pmrpipe.methods.spec import Schedule
from pmrpipe.spatial.resize import resize_displacement
from pmrpipe.spatial.warp import warp
from pmrpipe.stages.train.images import Images
from pmrpipe.stages.train.validation import mean_dice, validation_pairs
from pmrpipe.study.pack import Arrays


class Fit(pl.LightningModule):
    """Minimise a method's objective over ordered pairs of training scans.

    An epoch is the stretch between two validations. `history` has one row for each.
    """

    def __init__(
        self,
        method: NetworkMethod,
        arrays: Arrays,
        schedule: Schedule,
        train: Sequence[str],
        validation: Sequence[str],
        seed: int,
        budget: int | None = None,
    ) -> None:
        super().__init__()
        self.method, self.arrays, self.schedule, self.seed = method, arrays, schedule, seed
        self.grid = method.grid(arrays.grid)
        self.train_keys = list(train)
        self.validation_pairs = validation_pairs(train, validation)
        shown = {*train, *(key for pair in self.validation_pairs for key in pair)}
        # At the network's voxel size a scan takes 2.7 MB at 2 mm, 22 MB at 1 mm.
        self.images = Images(arrays, sorted(shown), self.grid.shape, budget)
        self.history: list[dict[str, float]] = []
        self._sums: dict[str, Tensor] = {}
        self._scores: list[float] = []

    # -- training -----------------------------------------------------------------------------
    def training_step(self, batch: Any, index: int) -> Tensor:
        """One pair; the draw and the noise follow from the seed, the step and the process."""
        number = self.global_step * self.trainer.world_size + self.global_rank
        draw = random.Random(f"{self.seed} {number}")
        torch.manual_seed(draw.getrandbits(48))
        batch = self._batch(draw)
        if self.schedule.symmetric:
            batch = batch.both_ways()
        terms = self.method.objective(batch)
        if not torch.isfinite(terms["total"]):
            problem = f"the objective is not finite at step {self.global_step}"
            raise WorkError(
                "training", problem, "lower schedule.learning_rate in the method's YAML"
            )
        for name, value in terms.items():
            self._sums[name] = self._sums.get(name, 0.0) + value.detach()
        return terms["total"]

    def _batch(self, draw: random.Random) -> Batch:
        """A pair of training scans, augmented."""
        moving, fixed = (self.images.get(key, self.device) for key in self._pair(draw))
        if self.schedule.augmentation.flip and draw.random() < 0.5:
            moving, fixed = moving.flip(2), fixed.flip(2)
        if self.schedule.augmentation.warp_mm:
            moving, fixed = (self._warped(image) for image in (moving, fixed))
        return Batch(moving, fixed, self.grid)

    def _pair(self, draw: random.Random) -> tuple[str, str]:
        moving = draw.choice(self.train_keys)
        others = [k for k in self.train_keys if k.split("_")[0] != moving.split("_")[0]]
        return moving, draw.choice(others)

    def _warped(self, image: Tensor) -> Tensor:
        """The image under a random displacement whose control points lie 40 mm apart or so."""
        points = torch.randn(1, 3, 4, 5, 4, device=image.device)
        deviation = points.new_tensor(
            [self.schedule.augmentation.warp_mm / mm for mm in self.grid.spacing]
        )
        coarse = points * deviation.view(1, 3, 1, 1, 1)
        return warp(image, resize_displacement(coarse, image.shape[2:], rescale=False))

    def configure_optimizers(self) -> Any:
        plan = self.schedule
        optimiser = torch.optim.Adam(
            self.method.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
        )
        return optimiser

    def set_learning_rate(self, done: float) -> None:
        """Before each step; `done` is the part of the training that lies behind, 0 to 1."""
        factor = (1 + math.cos(math.pi * min(done, 1.0))) / 2 if self.schedule.anneal else 1.0
        for group in self.optimizers().param_groups:  # type: ignore[union-attr]
            group["lr"] = self.schedule.learning_rate * factor

    # -- validation ---------------------------------------------------------------------------
    def validation_step(self, batch: Any, index: int) -> None:
        moving, fixed = self.validation_pairs[index]
        images = (self.images.get(key, self.device) for key in (moving, fixed))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self._scores.append(self._score(moving, fixed, *images))

    def _score(self, moving: str, fixed: str, x: Tensor, y: Tensor) -> float:
        if not {moving, fixed} <= self.arrays.labelled or not self.arrays.labels:
            return -float(self.method.objective(Batch(x, y, self.grid))["total"])
        deformation = self.method.deform(x, y, self.grid)
        labels = torch.tensor(self.arrays.labels)
        maps = (self.arrays.dseg(key) for key in (fixed, moving))
        return mean_dice(*maps, deformation.to("cpu"), labels)

    @property
    def criterion(self) -> str:
        """Name of what validation measures: higher is better."""
        labelled = all({*pair} <= self.arrays.labelled for pair in self.validation_pairs)
        return "validation_dice" if labelled and self.arrays.labels else "validation_objective"

    @property
    def advanced(self) -> bool:
        """Whether a step was taken since the last row of the history."""
        return bool(self._sums)

    def close_epoch(self) -> dict[str, float]:
        """Append this stretch's row to the history and return it."""
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

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history, self._sums = list(checkpoint["history"]), dict(checkpoint["sums"])
