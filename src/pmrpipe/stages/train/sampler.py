"""What a step sees: a cohort, a pair of its scans, what a teacher says of it, and its changes."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from pmrpipe.base.errors import InputError
from pmrpipe.images.volume import Grid
from pmrpipe.methods.batch import Batch
from pmrpipe.methods.spec import Schedule
from pmrpipe.spatial.kernels import Kernel
from pmrpipe.stages.train.augment import (
    mirrored,
    patch,
    randomly_contrasted,
    randomly_moved,
    randomly_warped,
)
from pmrpipe.stages.train.cohorts import TrainingCohort, draw_cohort
from pmrpipe.stages.train.images import Held, Images, Taught
from pmrpipe.study.keys import in_contrast
from pmrpipe.study.target_pack import Targets


class Sampler:
    """Draws batches; the same draws give the same batches.

    Parameters
    ----------
    cohorts : the study's own first
    grid : the network's
    validation : further scans of the own cohort that will be asked for
    targets : a teacher's: its pairs alone are drawn
    budget : bytes that may be held in memory
    intensities : what a method makes of an image's intensities before it sees it
    kernel : of a network that learns the teacher's momenta
    contrasts : of the moving and of the fixed image that the network is shown; None: the scans
        that the teacher saw

    Raises
    ------
    InputError : a patch larger than the grid; a teacher's pair that is not for training; a scan
        that is not packed in the contrast that is shown
    """

    def __init__(
        self,
        cohorts: Sequence[TrainingCohort],
        grid: Grid,
        schedule: Schedule,
        validation: Sequence[str] = (),
        targets: Targets | None = None,
        budget: int | None = None,
        intensities: Callable[[Tensor], Tensor] | None = None,
        kernel: Kernel | None = None,
        contrasts: tuple[str | None, str | None] = (None, None),
    ) -> None:
        self.cohorts, self.grid, self.schedule = list(cohorts), grid, schedule
        self.targets, self.contrasts = targets, contrasts
        _check(self.cohorts, grid, schedule, targets)
        own = {*self.own.train, *validation}
        own |= self._packed(own)
        voxels = grid.shape[0] * grid.shape[1] * grid.shape[2]
        scans = len(own) + sum(len(c.train) for c in self.cohorts[1:])
        fields = len(targets.pairs) if targets else 0
        # At the network's voxel size a scan takes 2.7 MB at 2 mm, 22 MB at 1 mm.
        self.held = Held(4 * voxels * (scans + 3 * fields), budget)
        self.images = Images(
            {c.name: c.arrays for c in self.cohorts}, grid.shape, self.held, intensities
        )
        self._taught = Taught(targets, grid, self.held, kernel) if targets else None

    @property
    def own(self) -> TrainingCohort:
        """The study's cohort, the first."""
        return self.cohorts[0]

    def shown(self, pair: tuple[str, str]) -> tuple[str, str]:
        """Keys of the images that the network is shown of a pair."""
        moving, fixed = map(in_contrast, pair, self.contrasts)
        return moving, fixed

    def _packed(self, keys: set[str]) -> set[str]:
        """Scans in the contrasts that are shown; InputError for one that is not packed."""
        shown = {key for one in keys for key in self.shown((one, one))}
        missing = sorted(shown - {*self.own.arrays.keys})
        if missing:
            problem = f"lacks {', '.join(missing)}, which the network is to be shown"
            remedy = "name the contrast under inputs.also, and run the rule pack again"
            raise InputError(self.own.arrays.path, problem, remedy)
        return shown

    def batch(self, draw: random.Random, device: torch.device) -> Batch:
        """One step's: a pair, or with `symmetric` both directions of it."""
        batch = self._pair(draw, device)
        change = self.schedule.augmentation
        if change.flip and draw.random() < 0.5:
            batch = mirrored(batch)
        if change.warps:
            moving, fixed = (self._warped(image) for image in (batch.moving, batch.fixed))
            batch = Batch(moving, fixed, self.grid)
        if change.contrast:
            batch = self._contrasted(batch, draw)
        if self.schedule.symmetric:
            batch = batch.both_ways()
        if self.targets:
            batch = replace(batch, where=(batch.fixed > 0).float())
        return patch(batch, self.schedule.patch, draw) if self.schedule.patch else batch

    def _warped(self, image: Tensor) -> Tensor:
        change = self.schedule.augmentation
        if change.affine:
            image = randomly_moved(image, change.affine)
        if change.warp_mm:
            image = randomly_warped(image, self.grid.spacing, change.warp_mm)
        return image

    def _contrasted(self, batch: Batch, draw: random.Random) -> Batch:
        """Some images in a random contrast, each in its own."""
        alike = batch.moving, batch.fixed
        share = self.schedule.augmentation.contrast
        moving, fixed = (
            randomly_contrasted(image) if draw.random() < share else image for image in alike
        )
        return replace(batch, moving=moving, fixed=fixed, alike=alike)

    def _pair(self, draw: random.Random, device: torch.device) -> Batch:
        cohort, pair = self.draw_pair(draw)
        shown = self.shown(pair)
        moving, fixed = (self.images.get(cohort.name, key, device) for key in shown)
        target = self._taught.get(pair, device) if self._taught else None
        return Batch(moving, fixed, self.grid, target)

    def draw_pair(self, draw: random.Random) -> tuple[TrainingCohort, tuple[str, str]]:
        """A cohort by weight, and two scans of different subjects in it."""
        if self.targets:
            return self.own, draw.choice(self.targets.pairs)
        cohort = draw_cohort(self.cohorts, draw)
        return cohort, cohort.pair(draw)


def _check(
    cohorts: Sequence[TrainingCohort], grid: Grid, schedule: Schedule, targets: Targets | None
) -> None:
    if schedule.patch and schedule.patch > min(grid.shape):
        size = "x".join(map(str, grid.shape))
        problem = f"a patch of {schedule.patch} voxels does not fit into a grid of {size}"
        raise InputError("schedule.patch", problem, "make it smaller, or network_mm smaller")
    if targets is None:
        return
    if len(cohorts) > 1:
        problem = f"knows pairs of the cohort `{cohorts[0].name}` alone"
        raise InputError(targets.path, problem, "train without further cohorts")
    strange = {key for pair in targets.pairs for key in pair} - set(cohorts[0].train)
    if strange or not targets.pairs:
        problem = f"has pairs of {', '.join(sorted(strange)) or 'nobody'}, not of training scans"
        raise InputError(targets.path, problem, "run the rule pack_targets again")
