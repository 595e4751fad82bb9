"""Options of the simulated cohort."""

from __future__ import annotations

from pydantic import Field

from pmrpipe.base.seed import SEED
from pmrpipe.study.options.common import Contrast, Options, Seed


class Simulation(Options):
    """The simulated cohort (reader `embedded`)."""

    subjects: int = Field(8, ge=1, le=999, description="number of simulated subjects")
    mm: float = Field(1.0, ge=0.8, le=6, description="mean voxel size of the simulated scans, mm")
    contrasts: tuple[Contrast, ...] = Field(
        (), description="further scans of each subject beside its T1w, in poses of their own"
    )
    seed: Seed = Field(SEED, description="seed of the simulation")
