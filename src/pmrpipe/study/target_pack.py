"""What a teacher says of training pairs: displacement fields in one safetensors file.

Beside the arrays of the images it is all that a training machine needs of a teacher.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pmrpipe.base.errors import InputError
from pmrpipe.images.volume import Grid
from pmrpipe.study.pack import grid_meta, meta_grid
from pmrpipe.study.paths import pair_name
from pmrpipe.study.tensors import Entry, read_header, read_tensor, write_tensors

Pair = tuple[str, str]


def pack_targets(
    fields: Mapping[Pair, Callable[[], np.ndarray]],
    grid: Grid,
    out: str | os.PathLike[str],
    teacher: str,
) -> None:
    """Write "field/<MOVING_to_FIXED>" of every pair, float16, RAS mm.

    float16 is exact to 1/128 mm up to 16 mm, to 1/64 mm up to 32 mm.

    Parameters
    ----------
    fields : (moving, fixed) -> a function that returns (X, Y, Z, 3) in RAS mm on `grid`
    teacher : name of the method that made them

    Raises
    ------
    InputError : a field of another shape
    """
    entries = [
        Entry(f"field/{pair_name(*pair)}", (*grid.shape, 3), field)
        for pair, field in fields.items()
    ]
    meta = grid_meta(grid) | {"pairs": [list(pair) for pair in fields], "teacher": teacher}
    write_tensors(out, entries, "F16", meta)


@dataclass(frozen=True)
class Targets:
    """What the file holds; fields are read when they are asked for."""

    path: Path
    grid: Grid
    pairs: tuple[Pair, ...]
    teacher: str

    def field(self, pair: Pair) -> np.ndarray:
        """(X, Y, Z, 3) in RAS mm on the file's grid, float32."""
        return read_tensor(self.path, f"field/{pair_name(*pair)}").astype(np.float32)


def open_targets(path: Path) -> Targets:
    """Read the header of a file of targets; InputError when it is missing or broken."""
    meta, _ = read_header(path)
    if "teacher" not in meta:
        raise InputError(path, "holds no teacher's fields", "run the rule pack_targets")
    pairs = tuple((moving, fixed) for moving, fixed in meta["pairs"])
    return Targets(path, meta_grid(meta), pairs, meta["teacher"])
