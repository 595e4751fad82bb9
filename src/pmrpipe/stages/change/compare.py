"""One later scan against the first: half-way, registered, measured, with its noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pmrpipe.base.errors import InputError
from pmrpipe.base.outputs import is_one_of
from pmrpipe.images.resampling import composite_field, resample, sample_points
from pmrpipe.images.volume import (
    Grid,
    Volume,
    read_labels,
    read_mask,
    require_same_grid,
)
from pmrpipe.stages.change.halfway import Halfway, align
from pmrpipe.stages.change.images import common_mask, seen
from pmrpipe.stages.change.noise import noise_map, null_flows
from pmrpipe.stages.change.result import BRAIN, LESION, Interval
from pmrpipe.stages.change.symmetric import Flow, register_symmetric
from pmrpipe.stages.change.volumes import rows
from pmrpipe.study.labels import labels_of
from pmrpipe.study.options.change import Measuring


@dataclass(frozen=True)
class Visit:
    """A scan as it came, and what preprocessing says of it.

    name : file name, or key in a study
    entity : what names of files call it: scan-2, ses-02
    brain : whitened, on the template grid, background 0
    affine : (4, 4), RAS mm, points of the template to points of the scan
    doubts : sentences against its preprocessing
    """

    name: str
    entity: str
    scan: Volume
    brain: Volume
    affine: np.ndarray
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Marked:
    """Labels and lesion of the first scan, on its grid."""

    labels: Volume | None = None
    names: dict[int, str] | None = None
    lesion: Volume | None = None

    @classmethod
    def read(
        cls,
        first: tuple[Path, Grid],
        labels: Path | None,
        table: str | None,
        lesion: Path | None,
        orientation: str | None = None,
    ) -> Marked:
        """Of files on the first scan's grid.

        Parameters
        ----------
        first : the scan's file and grid
        table : label table, for the names
        orientation : of the files, where headers state none

        Raises
        ------
        InputError : another grid than the scan's, or no label at all
        """
        path, grid = first
        numbers = mask = None
        if labels is not None:
            if is_one_of(labels, [path]):
                raise InputError(labels, "is the scan itself", "give its label map, or none")
            numbers = read_labels(labels, orientation)
            require_same_grid(numbers, grid, labels, path)
            if not numbers.data.any():
                raise InputError(labels, "holds no label above 0", "give a label map, or none")
        if lesion is not None:
            inside = read_mask(lesion, orientation)
            require_same_grid(inside, grid, lesion, path)
            mask = Volume(inside.data.astype(np.int32), inside.affine)
        names = {} if table is None else {label.index: label.name for label in labels_of(table)}
        return cls(numbers, names, mask)

    def maps(self) -> list[tuple[Volume, dict[int, tuple[Any, str]]]]:
        """Each map with what its rows say of its numbers."""
        out: list[tuple[Volume, dict[int, tuple[Any, str]]]] = []
        if self.lesion is not None:
            out.append((self.lesion, {1: (LESION, "lesion")}))
        if self.labels is not None:
            names, numbers = self.names or {}, np.unique(self.labels.data)
            said = {int(n): (int(n), names.get(int(n), f"label {n}")) for n in numbers if n}
            out.append((self.labels, said))
        return out

    def lesion_on(self, grid: Grid, pose: Halfway, flow: Flow) -> np.ndarray | None:
        """The lesion where the second scan has it, bool."""
        if self.lesion is None:
            return None
        field = composite_field(grid, [np.linalg.inv(pose.second), flow.field(-1.0), pose.first])
        return resample(self.lesion, field + sample_points(grid), "nearest") > 0


def compare(
    first: Visit, second: Visit, marked: Marked, options: Measuring, seed: int
) -> tuple[Interval, list[dict[str, Any]]]:
    """The second scan against the first, and its rows of change.tsv; the brain's comes first."""
    grid, affines = first.brain.grid, (first.affine, second.affine)
    masks = tuple(Volume(visit.brain.data > 0, grid.affine) for visit in (first, second))
    scans = (first.scan, second.scan)
    pose = align(scans, affines, masks[0].data | masks[1].data, grid)
    mask = common_mask(masks, affines, pose, grid)  # type: ignore[arg-type]
    images = seen(scans, pose, mask, grid)
    flow = register_symmetric(*images, grid, options.steps, options.finest_mm)
    nulls = null_flows(*images, flow, options.noise, seed, options.steps, options.finest_mm)
    table = _rows(marked, mask, pose, flow, nulls, second.name)
    noise = noise_map(nulls)
    interval = Interval(
        second.name,
        second.entity,
        images,
        flow,
        noise,
        *_on_first(first.scan.grid, pose, flow, noise),
        _fields(first.scan.grid, second.scan.grid, pose, flow),
        marked.lesion_on(second.scan.grid, pose, flow),
        second.scan.affine,
        tuple(f"{visit.name}: {doubt}" for visit in (first, second) for doubt in visit.doubts),
    )
    return interval, table


def _rows(
    marked: Marked,
    mask: np.ndarray,
    pose: Halfway,
    flow: Flow,
    nulls: Sequence[Flow],
    scan: str,
) -> list[dict[str, Any]]:
    """Of the brain, the lesion and the labels."""
    grid = flow.full
    points = sample_points(grid, pose.first, flow.field(-0.5))
    volume = float(np.prod(grid.spacing)) * abs(float(np.linalg.det(pose.first[:3, :3])))
    brain = mask.astype(np.int32)
    whole = float((brain * flow.jacobians[0]).sum()) * volume
    table = rows(brain, {1: whole}, flow, nulls, {1: (BRAIN, "brain")}, scan)
    for labels, said in marked.maps():
        own = np.bincount(labels.data.ravel())
        volumes = {n: float(own[n] * np.prod(labels.spacing)) for n in np.flatnonzero(own)}
        there = resample(labels, points, "nearest")
        table += rows(there, volumes, flow, nulls, said, scan)
    return table


def _on_first(
    grid: Grid, pose: Halfway, flow: Flow, noise: np.ndarray | None
) -> tuple[Volume, Volume | None]:
    """Log-Jacobian and its noise on the first scan's own grid."""
    there, own = flow.field(0.5)
    back = np.linalg.inv(pose.first)
    # A point of the first scan in the half-way space.
    halfway = composite_field(grid, [back, (there, own)]) + sample_points(grid)
    maps = [None if m is None else Volume(m, flow.full.affine) for m in (flow.log_jacobian, noise)]
    first, second = (
        None if m is None else Volume(resample(m, halfway).astype(np.float32), grid.affine)
        for m in maps
    )
    assert first is not None
    return first, second


def _fields(
    first: Grid, second: Grid, pose: Halfway, flow: Flow
) -> tuple[tuple[np.ndarray, Grid], tuple[np.ndarray, Grid]]:
    """RAS mm: on the first scan's grid to points of the second, and the other way."""
    forward = composite_field(first, [np.linalg.inv(pose.first), flow.field(1.0), pose.second])
    inverse = composite_field(second, [np.linalg.inv(pose.second), flow.field(-1.0), pose.first])
    return (forward, first), (inverse, second)
