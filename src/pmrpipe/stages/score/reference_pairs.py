"""Pairs of a method beside the same pairs of its reference: distances, and counts to pool."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import write_tsv
from pmrpipe.images.resampling import sample_displacement
from pmrpipe.images.transforms import read_field
from pmrpipe.images.volume import Grid, read_image
from pmrpipe.metrics.reference import BINS, ERROR, compared_maps, error_percentiles
from pmrpipe.study.keys import named_pair
from pmrpipe.study.options.scoring import Comparing
from pmrpipe.study.paths import Results

Pair = tuple[str, str]
Follow = Callable[[Sequence[Pair]], Iterable[Pair]]
# Names of the tables, in a job's folder and beside the reference's.
ERRORS, COUNTS = "errors_by_pair.tsv", "counts.tsv"


def compare_pairs(results: Results, out: Path, options: Comparing, follow: Follow = iter) -> None:
    """Write `errors_by_pair.tsv` and `counts.tsv` of some pairs to the folder `out`.

    The first has moving, fixed, kind, voxels, and mean and percentiles of the distance in mm over
    the fixed brain; the second, of each kind of pair and each quantity of `BINS`, how many voxels
    lie in each class that is not empty.

    Raises
    ------
    InputError : a file is missing or unreadable
    """
    rows: list[dict[str, Any]] = []
    totals: dict[tuple[str, str], np.ndarray] = {}
    for pair in follow([named_pair(name) for name in options.pairs]):
        values, kind = _values(results, pair, options), kind_of(*pair, results.space.key)
        names = {"method": options.method, "reference": options.reference}
        names |= {"moving": pair[0], "fixed": pair[1], "kind": kind}
        rows.append(names | {"voxels": values[ERROR].size} | error_percentiles(values[ERROR]))
        for quantity, bins in BINS.items():
            counted = bins.counts(values[quantity])
            totals[kind, quantity] = totals.get((kind, quantity), 0) + counted
    write_tsv(out / COUNTS, _counts(options, totals))
    write_tsv(out / ERRORS, pd.DataFrame(rows))


def kind_of(moving: str, fixed: str, template: str) -> str:
    """What a pair joins: image-to-image, atlas-to-image (the template moves), image-to-atlas."""
    sides = ("atlas" if key == template else "image" for key in (moving, fixed))
    return "-to-".join(sides)


def _values(results: Results, pair: Pair, options: Comparing) -> dict[str, np.ndarray]:
    image = read_image(results.preproc(pair[1]))
    own = None if options.identity else _field(results, options.method, pair, image.grid)
    reference = _field(results, options.reference, pair, image.grid)
    return compared_maps(own, reference, image.grid, image.data > 0)


def _field(results: Results, method: str, pair: Pair, grid: Grid) -> np.ndarray:
    path = results.field(method, *pair)
    if not path.exists():
        raise InputError(path, "no such file", "run the target register; `fields` must be true")
    return sample_displacement(read_field(path), grid)


def _counts(options: Comparing, totals: dict[tuple[str, str], np.ndarray]) -> pd.DataFrame:
    parts = []
    for (kind, quantity), counts in sorted(totals.items()):
        places = np.flatnonzero(counts)
        part = pd.DataFrame({"class": places, "voxels": counts[places]})
        for n, (name, value) in enumerate({
            "method": options.method, "reference": options.reference,
            "kind": kind, "quantity": quantity,
        }.items()):  # fmt: skip
            part.insert(n, name, value)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)
