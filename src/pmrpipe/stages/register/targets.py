"""A teacher's fields as one file, all that a training machine needs of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from pmrpipe.images.transforms import read_field
from pmrpipe.study.options.registration import TargetPacking
from pmrpipe.study.paths import Results, named_pair
from pmrpipe.study.target_pack import pack_targets


def run(results: Path, out: Path, options: TargetPacking) -> None:
    """Pack the fields of pairs that a teacher has registered.

    Raises
    ------
    InputError : a field that is missing, broken, or on another grid than the first
    """
    paths = Results.of(results, options)
    files = {
        pair: paths.teacher_field(options.teacher, *pair) for pair in map(named_pair, options.pairs)
    }
    _, grid = read_field(next(iter(files.values())))
    pack_targets(
        {pair: partial(_data, path) for pair, path in files.items()}, grid, out, options.teacher
    )


def _data(path: Path) -> np.ndarray:
    return read_field(path)[0]
