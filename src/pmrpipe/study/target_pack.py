"""What a teacher says of training pairs: displacement fields in one safetensors file.

Of a teacher that shoots they hold its initial momenta too, on the grid of its velocities.

Beside the arrays of the images it is all that a training machine needs of a teacher.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pmrpipe.base.errors import InputError
from pmrpipe.images.volume import Grid
from pmrpipe.study.keys import pair_name
from pmrpipe.study.pack import grid_meta, meta_grid
from pmrpipe.study.tensors import Entry, read_header, read_tensor, write_tensors

Pair = tuple[str, str]


def pack_targets(
    fields: Mapping[Pair, Callable[[], np.ndarray]],
    grid: Grid,
    out: str | os.PathLike[str],
    teacher: str,
    momenta: Momenta | None = None,
) -> None:
    """Write "field/<MOVING_to_FIXED>" of every pair, float16, RAS mm.

    float16 is exact to 1/128 mm up to 16 mm, to 1/64 mm up to 32 mm.

    Parameters
    ----------
    fields : (moving, fixed) -> a function that returns (X, Y, Z, 3) in RAS mm on `grid`
    teacher : name of the method that made them
    momenta : of the same pairs, each as a part of its largest value, float16 as well

    Raises
    ------
    InputError : a field of another shape
    """
    entries = [
        Entry(f"field/{pair_name(*pair)}", (*grid.shape, 3), field)
        for pair, field in fields.items()
    ]
    meta = grid_meta(grid) | {"pairs": [list(pair) for pair in fields], "teacher": teacher}
    if momenta is not None:
        entries += [momenta.entry(pair) for pair in fields]
        meta |= {"momenta": momenta.meta()}
    write_tensors(out, entries, "F16", meta)


@dataclass(frozen=True)
class Momenta:
    """Initial momenta of pairs.

    values : (moving, fixed) -> a function that returns (3, X, Y, Z) on `grid`
    largest : of each pair, its largest absolute value
    kernel : what the teacher says of its kernel, as JSON
    """

    values: Mapping[Pair, Callable[[], np.ndarray]]
    largest: Mapping[Pair, float]
    grid: Grid
    kernel: Mapping[str, Any]

    def entry(self, pair: Pair) -> Entry:
        """The array of a pair: its momentum as a part of its largest value."""

        def make() -> np.ndarray:
            return self.values[pair]() / (self.largest[pair] or 1.0)

        return Entry(f"momentum/{pair_name(*pair)}", (3, *self.grid.shape), make)

    def meta(self) -> dict[str, Any]:
        """What the file says of them."""
        largest = {pair_name(*pair): value for pair, value in self.largest.items()}
        return {"grid": grid_meta(self.grid), "kernel": dict(self.kernel), "largest": largest}


@dataclass(frozen=True)
class Targets:
    """What the file holds; fields are read when they are asked for."""

    path: Path
    grid: Grid
    pairs: tuple[Pair, ...]
    teacher: str
    momenta: Mapping[str, Any] | None = None

    def momentum(self, pair: Pair) -> tuple[np.ndarray, Grid]:
        """(3, X, Y, Z) float32, and the grid that it lies on; only where there are momenta."""
        assert self.momenta is not None
        name = pair_name(*pair)
        values = read_tensor(self.path, f"momentum/{name}").astype(np.float32)
        return values * self.momenta["largest"][name], meta_grid(self.momenta["grid"])

    def field(self, pair: Pair) -> np.ndarray:
        """(X, Y, Z, 3) in RAS mm on the file's grid, float32."""
        return read_tensor(self.path, f"field/{pair_name(*pair)}").astype(np.float32)


def open_targets(path: Path) -> Targets:
    """Read the header of a file of targets; InputError when it is missing or broken."""
    meta, _ = read_header(path)
    if "teacher" not in meta:
        raise InputError(path, "holds no teacher's fields", "run the rule pack_targets")
    pairs = tuple((moving, fixed) for moving, fixed in meta["pairs"])
    return Targets(path, meta_grid(meta), pairs, meta["teacher"], meta.get("momenta"))
