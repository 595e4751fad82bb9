"""Cohorts of other studies that a study trains on."""

from __future__ import annotations

import os
from pathlib import Path

from pmrpipe.base.errors import InputError
from pmrpipe.images.volume import Grid
from pmrpipe.study.config import Study, load
from pmrpipe.study.config.cohort import FurtherCohort
from pmrpipe.study.keys import subject_of
from pmrpipe.study.pack import open_arrays


def further_arrays(study: Study) -> dict[str, Path]:
    """Packed arrays of each further cohort, by name; the study's own has an entry for its weight.

    Raises
    ------
    InputError : an entry that names no arrays, or two places
    """
    return {
        name: _arrays(name, cohort)
        for name, cohort in study.cohorts.items()
        if not _is_own(name, cohort, study)
    }


def _is_own(name: str, cohort: FurtherCohort, study: Study) -> bool:
    if name != study.cohort:
        return False
    if cohort.study or cohort.arrays:
        problem = f"`{name}` is this study itself"
        raise InputError("cohorts", problem, "give it a weight alone, or another name")
    return True


def _arrays(name: str, cohort: FurtherCohort) -> Path:
    if bool(cohort.study) == bool(cohort.arrays):
        problem = f"`{name}` needs one of `study` and `arrays`"
        raise InputError("cohorts", problem, "name a study's YAML, or the arrays that it packed")
    if cohort.arrays:
        return Path(os.path.expandvars(cohort.arrays)).expanduser()
    other = load(Path(os.path.expandvars(str(cohort.study))).expanduser())
    return other.paths.arrays


def require_trainable(path: Path, name: str, grid: Grid | None) -> None:
    """InputError when a further cohort's arrays cannot be trained on.

    grid : of the study itself, where it is known
    """
    if not path.exists():
        problem = f"no such file: cohort `{name}` is not packed"
        raise InputError(path, problem, "run its own study first, up to `train`")
    arrays = open_arrays(path)
    if grid is not None and arrays.grid != grid:
        sizes = ["x".join(map(str, g.shape)) for g in (arrays.grid, grid)]
        problem = f"cohort `{name}` has a grid of {sizes[0]}, this study one of {sizes[1]}"
        raise InputError(path, problem, "run both studies with the same grid_mm and space")
    if len({subject_of(key) for key in arrays.origin.train}) < 2:
        problem = f"cohort `{name}` has fewer than two training subjects"
        raise InputError(path, problem, "see key `split` of its study")
