"""One scan as it comes, labelled by atlases: each is registered to it, and their labels are fused.

`pmrpipe parcellate` and `pmrpipe.parcellate(scan, options)` are `parcellate`. Every atlas's label
map is resampled once, from its own grid onto the scan's, and the atlases vote there.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pmrpipe.base.device import memory_told
from pmrpipe.base.malloc import keep_freed_memory
from pmrpipe.base.outputs import require_folder
from pmrpipe.base.threads import limited_threads
from pmrpipe.images.resampling import composite_field, resample, sample_points
from pmrpipe.images.volume import Grid, Volume, read_labels
from pmrpipe.metrics.similarity import ncc
from pmrpipe.native.atlases import (
    Atlas,
    Atlases,
    listed,
    read_atlases,
    require_no_atlas,
    require_table,
)
from pmrpipe.native.labelled import (
    Labelled,
    on_grid,
    require_free,
    write_labelled,
)
from pmrpipe.native.method import ACCURATE, ReadyMethod, ready_method
from pmrpipe.native.prepare import PreparedScan, prepare
from pmrpipe.native.request import Request, Say, Scan
from pmrpipe.stages.cohort.results_folder import require_no_other_dataset
from pmrpipe.stages.parcellate.fusion import Fused, Fusion, fuse
from pmrpipe.stages.parcellate.page import Shown
from pmrpipe.stages.parcellate.volumes import intracranial_volume, volumes
from pmrpipe.study.options.parcellation import Parcellation
from pmrpipe.study.options.two_scans import TwoScans
from pmrpipe.study.space import Space

if TYPE_CHECKING:
    import pandas as pd

# Room around the brain, mm, in which labels may lie.
_MARGIN = 6.0


@dataclass(frozen=True)
class _Vote:
    """What an atlas says on the part of the scan's grid that holds the brain."""

    labels: np.ndarray
    image: np.ndarray
    facts: dict[str, Any]


def parcellate(
    scan: Scan,
    options: Parcellation,
    work: TwoScans,
    output: Path | None = None,
    say: Say = lambda text: None,
) -> Labelled:
    """Label a scan, and write the result to `output` if it is given.

    Raises
    ------
    InputError : an unusable scan, atlas, label map or table; an atlas whose labels the table
        lacks, or that is the scan itself; files in `output` that pmrpipe did not write
    WorkError : a step failed
    """
    if output is not None:
        require_folder(output)
    atlases = read_atlases(options, scan.state)
    if output is not None and not work.overwrite:
        require_no_other_dataset(output)
        require_free(output, [*scan.files, *(p for a in atlases.scans for p in (a.scan, a.labels))])
    require_no_atlas(scan.path, atlases)
    keep_freed_memory()
    with tempfile.TemporaryDirectory(prefix="pmrpipe-parcellate-") as space:
        work = work.model_copy(update=_for_labels(work) | {"cache": work.cache or Path(space)})
        request = Request(scan, scan, None, work, flags="--")
        with limited_threads(request.threads):
            labelled = _labelled(request, atlases, options, say)
    if output is not None:
        say(f"writing {output}")
        write_labelled(labelled, output)
    return labelled


def _for_labels(work: TwoScans) -> dict[str, Any]:
    """What is wanted of the registrations here, where nothing else is said: overlap."""
    return {"refine_elastic": ACCURATE} if work.refine_elastic is None else {}


def _labelled(request: Request, atlases: Atlases, options: Parcellation, say: Say) -> Labelled:
    ready = ready_method(request, say)
    unlisted = require_table(atlases)
    for line in unlisted:
        say(f"warning: {line}")
    target = _prepare_all(request, atlases, say)
    chosen = _chosen(request, atlases, target, options.most)
    warnings = [*target.doubts, *(f"atlases: {line}" for line in unlisted)]
    box = _box(target)
    part = Volume(target.scan.data[box], _shifted(target.scan.affine, box))
    # The whitened brain, whose intensities are those of the atlases.
    back = sample_points(part.grid, np.linalg.inv(target.affine))
    brain = resample(target.preproc, back, "linear")
    began = time.perf_counter()
    votes = []
    for number, atlas in enumerate(chosen, 1):
        say(f"registering {atlas.key} ({number} of {len(chosen)})")
        vote = _vote(atlas, target, part.grid, ready, request)
        votes.append(replace(vote, labels=listed(vote.labels, atlases.table)))
    registered = time.perf_counter()
    say(f"fusing {len(votes)} label maps")
    fused = _fused(votes, brain, part.grid, options)
    facts = {
        "scan": target.name,
        "atlases": [vote.facts for vote in votes],
        "fusion": options.fusion,
        "warnings": warnings,
        "licence": atlases.licence,
        "seconds_registration": round(registered - began, 1),
        "seconds_fusion": round(time.perf_counter() - registered, 1),
        **ready.facts,
    }
    table = _volumes(fused, part, atlases.table, target)
    shown = _on_template(fused, part.affine, target)
    return Labelled(*on_grid(fused, target.scan, box), table, atlases.table, facts, shown)


# -- preparation ---------------------------------------------------------------------------------
def _scan_of(atlas: Atlas, request: Request) -> Scan:
    return Scan(atlas.scan, request.moving.state)


def _prepare_all(request: Request, atlases: Atlases, say: Say) -> PreparedScan:
    """Preprocess the scan and all atlases, two at a time; the scan."""
    scans = [request.fixed, *(_scan_of(atlas, request) for atlas in atlases.scans)]
    first: PreparedScan | None = None
    for start in range(0, len(scans), 2):
        both = scans[start : start + 2]
        pair = replace(request, moving=both[0], fixed=both[-1])
        prepared = prepare(pair, say)
        first = first or prepared[0]
    assert first is not None
    return first


def _chosen(
    request: Request, atlases: Atlases, target: PreparedScan, most: int | None
) -> Sequence[Atlas]:
    """All atlases, or those whose brains resemble the scan's most after the affine."""
    if most is None or most >= len(atlases.scans):
        return atlases.scans
    mask = target.preproc.data > 0

    def resemblance(atlas: Atlas) -> float:
        moving = _prepared(atlas, request)
        return ncc(target.preproc.data, moving.preproc.data, mask)

    return sorted(atlases.scans, key=resemblance, reverse=True)[:most]


def _prepared(atlas: Atlas, request: Request) -> PreparedScan:
    """An atlas that has been preprocessed before."""
    scan = _scan_of(atlas, request)
    return prepare(replace(request, moving=scan, fixed=scan), lambda text: None)[0]


# -- votes ---------------------------------------------------------------------------------------
def _vote(
    atlas: Atlas, target: PreparedScan, grid: Grid, ready: ReadyMethod, request: Request
) -> _Vote:
    import torch

    moving = _prepared(atlas, request)
    source, fixed = (
        torch.from_numpy(scan.preproc.data)[None, None].to(request.device())
        for scan in (moving, target)
    )
    with torch.no_grad(), memory_told(atlas.key, "give --refine-mm 2, or --device cpu"):
        deformation = ready.method.register(source, fixed, target.preproc.grid)
    there = (deformation.millimetres(), deformation.grid)
    to_template = composite_field(grid, [np.linalg.inv(target.affine), there])
    image = resample(moving.preproc, sample_points(grid, field=(to_template, grid)), "linear")
    to_atlas = composite_field(grid, [np.linalg.inv(target.affine), there, moving.affine])
    labels = read_labels(atlas.labels)
    warped = resample(labels, sample_points(grid, field=(to_atlas, grid)), "nearest")
    inside = image > 0
    return _Vote(warped.astype(np.int32), image, {"key": atlas.key, "voxels": int(inside.sum())})


def _fused(votes: Sequence[_Vote], brain: np.ndarray, grid: Grid, options: Parcellation) -> Fused:
    labels, images = [vote.labels for vote in votes], [vote.image for vote in votes]
    if options.fusion == "ants":
        from pmrpipe.stages.parcellate.ants_fusion import fuse_by_ants

        return fuse_by_ants(labels, images, brain)
    return fuse(labels, images, brain, Fusion(kind=options.fusion), grid.spacing)


def _on_template(fused: Fused, affine: np.ndarray, target: PreparedScan) -> Shown:
    points = sample_points(target.preproc.grid, target.affine)
    labels = resample(Volume(fused.labels, affine), points, "nearest")
    lost = resample(Volume(1 - fused.confidence, affine), points, "linear")
    return Shown(target.preproc, labels, 1 - lost)


# -- what it measures ----------------------------------------------------------------------------
def _volumes(fused: Fused, part: Volume, table: pd.DataFrame, target: PreparedScan) -> pd.DataFrame:
    subject = target.name.split("_")[0].removesuffix(".gz").removesuffix(".nii")
    return volumes(
        fused.labels, part.affine, table, subject, intracranial_volume(Space.load(), target.affine)
    )


def _box(target: PreparedScan) -> tuple[slice, ...]:
    """Where the brain lies on the scan's grid, with some room around it."""
    grid = target.scan.grid
    inside = resample(target.preproc, sample_points(grid, np.linalg.inv(target.affine)), "linear")
    return tuple(_extents(inside > 0, grid))


def _extents(inside: np.ndarray, grid: Grid) -> Iterator[slice]:
    for axis, (length, spacing) in enumerate(zip(grid.shape, grid.spacing, strict=True)):
        others = tuple(other for other in range(3) if other != axis)
        there = np.flatnonzero(inside.any(others))
        room = round(_MARGIN / spacing)
        yield slice(max(0, int(there[0]) - room), min(length, int(there[-1]) + room + 1))


def _shifted(affine: np.ndarray, box: tuple[slice, ...]) -> np.ndarray:
    """The affine of the part of a grid that `box` cuts out."""
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ [part.start for part in box]
    return moved
