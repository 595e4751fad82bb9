"""A teacher's fields as one file, all that a training machine needs of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from pmrpipe.base.errors import InputError
from pmrpipe.images.transforms import read_field
from pmrpipe.study.keys import named_pair
from pmrpipe.study.options.registration import TargetPacking
from pmrpipe.study.paths import Results
from pmrpipe.study.target_pack import Momenta, pack_targets


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
    fields = {pair: partial(_data, path) for pair, path in files.items()}
    momenta = _momenta({pair: paths.teacher_momentum(options.teacher, *pair) for pair in files})
    pack_targets(fields, grid, out, options.teacher, momenta)


def _momenta(files: dict[tuple[str, str], Path]) -> Momenta | None:
    """Of a teacher that shoots; None where no pair has one.

    Raises
    ------
    InputError : one is missing among others, or has another grid or kernel than the first
    """
    if not any(path.exists() for path in files.values()):
        return None
    from pmrpipe.methods.geodesic_file import kernel_meta, read_momentum

    first_path = next(iter(files.values()))
    first, largest = read_momentum(first_path), {}
    for pair, path in files.items():
        momentum = read_momentum(path)
        if (momentum.grid, momentum.kernel) != (first.grid, first.kernel):
            problem = f"has another grid or kernel than {first_path.name}"
            raise InputError(path, problem, "run the rule teach again")
        largest[pair] = float(np.abs(momentum.values).max())
    values = {pair: partial(_values, path) for pair, path in files.items()}
    return Momenta(values, largest, first.grid, kernel_meta(first.kernel))


def _values(path: Path) -> np.ndarray:
    from pmrpipe.methods.geodesic_file import read_momentum

    return read_momentum(path).values


def _data(path: Path) -> np.ndarray:
    return read_field(path)[0]
