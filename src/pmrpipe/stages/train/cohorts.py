"""Whose scans a training draws: the study's own, and those of other studies."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pmrpipe.base.errors import InputError
from pmrpipe.study.keys import subject_of
from pmrpipe.study.pack import Arrays, open_arrays


@dataclass(frozen=True)
class TrainingCohort:
    """A cohort as a training sees it.

    weight : its share of the steps is weight / sum of weights, whatever its size
    train : keys of the scans that are drawn
    """

    name: str
    arrays: Arrays
    train: tuple[str, ...]
    weight: float = 1.0

    def facts(self) -> dict[str, Any]:
        """What model.json says of it; the names are those of dataset_description.json."""
        origin = self.arrays.origin
        return {
            "weight": self.weight,
            "scans": len(self.train),
            "subjects": len({subject_of(key) for key in self.train}),
            "Name": origin.dataset,
            "License": origin.licence,
            "DatasetDOI": origin.doi,
        }

    def pair(self, draw: random.Random) -> tuple[str, str]:
        """Two training scans of different subjects."""
        moving = draw.choice(self.train)
        others = [key for key in self.train if subject_of(key) != subject_of(moving)]
        return moving, draw.choice(others)


def own_cohort(
    path: Path, train: Sequence[str], validation: Sequence[str], weights: Mapping[str, float]
) -> TrainingCohort:
    """The study's own cohort, first of all that train.

    Raises
    ------
    InputError : the arrays are missing, broken or lack a scan; fewer than two subjects train
    """
    arrays = open_arrays(path)
    missing = [key for key in (*train, *validation) if key not in arrays.keys]
    if missing:
        raise InputError(path, f"lacks {', '.join(missing)}", "run the rule pack again")
    name = arrays.origin.cohort or "own"
    return _able(TrainingCohort(name, arrays, tuple(train), weights.get(name, 1.0)))


def further_cohorts(
    own: TrainingCohort, paths: Mapping[str, Path], weights: Mapping[str, float]
) -> list[TrainingCohort]:
    """Cohorts of other studies, from the arrays that those packed.

    Raises
    ------
    InputError : arrays that are missing or broken, on another grid than the study's own, or with
        fewer than two training subjects
    """
    cohorts = []
    for name, path in paths.items():
        arrays = open_arrays(path)
        require_same_grid(path, arrays, own.arrays)
        weight = weights.get(name, 1.0)
        cohorts.append(_able(TrainingCohort(name, arrays, arrays.origin.train, weight)))
    return cohorts


def require_same_grid(path: Path, arrays: Arrays, own: Arrays) -> None:
    """InputError when a pack of another study lies on another grid."""
    if arrays.grid != own.grid:
        sizes = ("x".join(map(str, a.grid.shape)) for a in (arrays, own))
        problem = "has a grid of {}, the study one of {}".format(*sizes)
        raise InputError(path, problem, "run both studies with the same grid_mm and space")


def draw_cohort(cohorts: Sequence[TrainingCohort], draw: random.Random) -> TrainingCohort:
    """One of them by weight; nothing is drawn where there is but one."""
    if len(cohorts) == 1:
        return cohorts[0]
    return draw.choices(cohorts, [cohort.weight for cohort in cohorts])[0]


def _able(cohort: TrainingCohort) -> TrainingCohort:
    if len({subject_of(key) for key in cohort.train}) < 2:
        problem = f"cohort `{cohort.name}` has fewer than two subjects to train on"
        raise InputError(cohort.arrays.path, problem, "see key `split` of its study")
    return cohort
