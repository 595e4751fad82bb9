"""Label maps on the template grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pmrpipe.base.errors import InputError, WorkError
from pmrpipe.images.resampling import resample, sample_points
from pmrpipe.images.transforms import read_affine
from pmrpipe.images.volume import (
    Grid,
    Volume,
    read_grid,
    read_labels,
    require_same_grid,
    write_volume,
)
from pmrpipe.study.labels import read_label_table
from pmrpipe.study.options.preprocessing import Labelling
from pmrpipe.study.sidecar import checksums, on_template, space_of, write_sidecar


def run(dseg: Path, t1w: Path, xfm: Path, template: Path, out: Path, options: Labelling) -> None:
    """Write the labels on the template grid; InputError unless they lie on the scan's grid."""
    native = read_labels(dseg, options.orientation)
    if not native.data.any():
        raise InputError(dseg, "holds no label", "give a label map, or none for this scan")
    require_same_grid(native, read_grid(t1w, options.orientation), dseg, t1w)
    grid = read_grid(template)
    data = to_template(native, read_affine(xfm), grid, options.interpolation, dseg)
    how = {"Interpolation": options.interpolation, **checksums(dseg)}
    write_sidecar(out, [dseg, xfm], **on_template(grid, space_of(template)), **how)
    write_volume(out, data, grid.affine)


def unlisted(dseg: Path, table: str) -> list[int]:
    """Numbers in a label map that a label table lacks, ascending."""
    known = {0, *read_label_table(table)["index"]}
    return [int(n) for n in np.unique(read_labels(dseg).data) if n not in known]


def require_some_listed(dseg: Path, table: str, orientation: str | None = None) -> None:
    """InputError when a table lists none of a map's labels: it belongs to other maps."""
    known = set(read_label_table(table)["index"])
    numbers = sorted(set(np.unique(read_labels(dseg, orientation).data).tolist()) - {0})
    if numbers and not known & set(numbers):
        problem = f"has no label that {table} lists, but {len(numbers)} others, such as"
        raise InputError(dseg, f"{problem} {numbers[0]}", "name its own table under `labels`")


def to_template(
    labels: Volume,
    matrix: np.ndarray,
    grid: Grid,
    interpolation: str = "nearest",
    name: object = "labels",
) -> np.ndarray:
    """Resample labels once from native to `grid`, int32.

    Parameters
    ----------
    labels : native label map
    matrix : (4, 4), RAS mm, template points -> native points
    interpolation : "nearest" or "genericLabel" (the label of the largest linear weight)
    name : what messages call the map

    Raises
    ------
    WorkError : no label reaches the grid
    """
    out = resample(labels, sample_points(grid, matrix), interpolation)  # type: ignore[arg-type]
    if not out.any():
        raise WorkError(name, "has no label on the template grid", "look at its affine")
    return out.astype(np.int32)
