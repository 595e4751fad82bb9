"""Two or more scans of one person as they come: what changed, where, and with which noise.

`pmrpipe change` and `change(scans, options, work)`: every later scan is compared with the first in
a half-way space of their own.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pmrpipe.base.errors import InputError
from pmrpipe.base.malloc import keep_freed_memory
from pmrpipe.base.outputs import is_one_of
from pmrpipe.base.threads import limited_threads
from pmrpipe.images.resampling import composite_field, resample, sample_points
from pmrpipe.images.volume import (
    Grid,
    Volume,
    read_grid,
    read_labels,
    read_mask,
    require_same_grid,
)
from pmrpipe.native.changed import (
    BRAIN,
    LESION,
    Changed,
    Interval,
    require_free,
    write_changed,
)
from pmrpipe.native.prepare import PreparedScan, prepare
from pmrpipe.native.request import Request, Say, Scan
from pmrpipe.native.result import generated_by
from pmrpipe.stages.change.halfway import Halfway, align
from pmrpipe.stages.change.images import common_mask, seen
from pmrpipe.stages.change.noise import noise_map, null_flows
from pmrpipe.stages.change.symmetric import Flow, register_symmetric
from pmrpipe.stages.change.volumes import rows
from pmrpipe.study.labels import labels_of
from pmrpipe.study.options.change import Change
from pmrpipe.study.options.two_scans import TwoScans

_CONTRAST = re.compile(r"_(T1w|T2w|PDw|FLAIR|inplaneT2)\.")
_SUBJECT = re.compile(r"(sub-[A-Za-z0-9]+)(?=[_.])")


def change(
    scans: Sequence[Path],
    options: Change,
    work: TwoScans,
    output: Path | None = None,
    say: Say = lambda text: None,
) -> Changed:
    """Compare later scans with the first, and write the result to `output` if it is given.

    Raises
    ------
    InputError : fewer than two scans, one twice, two persons or contrasts by their names; labels
        or a lesion on another grid than the first scan's; an unusable scan; files in `output`
        that pmrpipe did not write
    WorkError : a step failed
    """
    _require_one_person(scans)
    marked = _marked(scans[0], options)
    if output is not None and not work.overwrite:
        extra = [path for path in (options.labels, options.lesion) if path is not None]
        require_free(output, [*scans, *extra])
    keep_freed_memory()
    with tempfile.TemporaryDirectory(prefix="pmrpipe-change-") as space:
        work = work.model_copy(update={"cache": work.cache or Path(space)})
        state = "brain" if work.brain_extracted else "head"
        first, *others = (Scan(path, state) for path in scans)  # type: ignore[arg-type]
        with limited_threads(Request(first, first, None, work).threads):
            changed = _changed(first, others, marked, options, work, say)
    if output is not None:
        say(f"writing {output}")
        write_changed(changed, output)
    return changed


def _changed(
    first: Scan, others: list[Scan], marked: Marked, options: Change, work: TwoScans, say: Say
) -> Changed:
    intervals, table = [], []
    began = time.perf_counter()
    for number, other in enumerate(others, start=2):
        prepared = prepare(Request(first, other, None, work), say)
        say(f"comparing {other.path.name} with {first.path.name}")
        interval, part = _compare(prepared, marked, options, work.seed)
        intervals.append(interval)
        table += part
        say(f"scan {number}: brain {part[0]['percent']:+.2f} %")
    facts = {
        "GeneratedBy": generated_by(),
        "scans": [scan.path.name for scan in (first, *others)],
        "mm": work.mm,
        "finest_mm": options.finest_mm,
        "noise_repetitions": options.noise,
        "warnings": [doubt for interval in intervals for doubt in interval.doubts],
        "seconds": round(time.perf_counter() - began, 1),
    }
    return Changed(tuple(intervals), table, facts)


# -- one interval --------------------------------------------------------------------------------
def _compare(
    prepared: Sequence[PreparedScan], marked: Marked, options: Change, seed: int
) -> tuple[Interval, list[dict[str, Any]]]:
    """The second scan against the first, and its rows of change.tsv."""
    first, second = prepared
    grid, affines = first.preproc.grid, (first.affine, second.affine)
    masks = tuple(Volume(scan.preproc.data > 0, grid.affine) for scan in prepared)
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
        images,
        flow,
        noise,
        *_on_first(first.scan.grid, pose, flow, noise),
        _fields(first.scan.grid, second.scan.grid, pose, flow),
        marked.lesion_on(second.scan.grid, pose, flow),
        second.scan.affine,
        tuple(f"{scan.name}: {doubt}" for scan in prepared for doubt in scan.doubts),
    )
    return interval, table


def _rows(
    marked: Marked, mask: np.ndarray, pose: Halfway, flow: Flow, nulls: list[Flow], scan: str
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


# -- what is given of the first scan -------------------------------------------------------------
@dataclass(frozen=True)
class Marked:
    """Labels and lesion of the first scan, on its grid."""

    labels: Volume | None
    names: dict[int, str]
    lesion: Volume | None

    def maps(self) -> list[tuple[Volume, dict[int, tuple[Any, str]]]]:
        """Each map with what its rows say of its numbers."""
        out: list[tuple[Volume, dict[int, tuple[Any, str]]]] = []
        if self.lesion is not None:
            out.append((self.lesion, {1: (LESION, "lesion")}))
        if self.labels is not None:
            numbers = np.unique(self.labels.data)
            said = {int(n): (int(n), self.names.get(int(n), f"label {n}")) for n in numbers if n}
            out.append((self.labels, said))
        return out

    def lesion_on(self, grid: Grid, pose: Halfway, flow: Flow) -> np.ndarray | None:
        """The lesion where the second scan has it, bool."""
        if self.lesion is None:
            return None
        field = composite_field(grid, [np.linalg.inv(pose.second), flow.field(-1.0), pose.first])
        return resample(self.lesion, field + sample_points(grid), "nearest") > 0


def _marked(first: Path, options: Change) -> Marked:
    grid = read_grid(first)
    labels = lesion = None
    if options.labels is not None:
        labels = read_labels(options.labels)
        require_same_grid(labels, grid, options.labels, first)
        if labels.data.min() < 0 or not labels.data.any():
            raise InputError(options.labels, "holds no label above 0", "give a label map, or none")
    if options.lesion is not None:
        mask = read_mask(options.lesion)
        require_same_grid(mask, grid, options.lesion, first)
        lesion = Volume(mask.data.astype(np.int32), mask.affine)
    names = {}
    if options.label_table is not None:
        names = {label.index: label.name for label in labels_of(options.label_table)}
    return Marked(labels, names, lesion)


def _require_one_person(scans: Sequence[Path]) -> None:
    if len(scans) < 2:
        raise InputError(scans[0] if scans else "change", "is one scan alone", "give two or more")
    for number, path in enumerate(scans[1:], start=1):
        if is_one_of(path, scans[:number]):
            raise InputError(path, "is given twice", "give scans of different days")
        for pattern, what in ((_SUBJECT, "person"), (_CONTRAST, "contrast")):
            ours, theirs = (pattern.search(p.name) for p in (scans[0], path))
            if ours and theirs and ours[1] != theirs[1]:
                problem = f"is of another {what} than {scans[0].name}, {theirs[1]}"
                raise InputError(path, problem, f"give scans of one {what}")
