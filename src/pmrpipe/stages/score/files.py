"""Scores of registered pairs, from the files of a result folder to tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pmrpipe.base.files import read_tsv
from pmrpipe.images.resampling import sample_displacement
from pmrpipe.images.transforms import read_field
from pmrpipe.images.volume import Volume, read_image, read_labels
from pmrpipe.methods.spec import names, spec
from pmrpipe.metrics.sidecar import sidecar
from pmrpipe.metrics.tables import (
    MethodScores,
    by_label_table,
    by_pair_table,
    timing_table,
    write_scores,
)
from pmrpipe.stages.score.cover import pair_cover
from pmrpipe.stages.score.pair import score_pair
from pmrpipe.study.labels import read_label_table
from pmrpipe.study.options.scoring import Scoring
from pmrpipe.study.paths import Results
from pmrpipe.study.regions import region_labels

if TYPE_CHECKING:
    import pandas as pd

Pair = tuple[str, str]
Follow = Callable[[Sequence[Pair]], Iterable[Pair]]


def score_pairs(
    results: Results, listed: Path, out: Path, options: Scoring, follow: Follow = iter
) -> None:
    """Score the pairs of a list, and write by_label.tsv, by_pair.tsv and timing.tsv to `out`.

    Parameters
    ----------
    listed : TSV of registered pairs
    follow : goes through the pairs, and tells of them

    Raises
    ------
    InputError : a file is missing or unreadable; a missing field does not pass for the identity
    """
    table = read_label_table(options.table) if options.table else None
    rows = read_tsv(listed, required=("moving", "fixed", "inverse_consistency_mm"))
    pairs = list(zip(rows["moving"], rows["fixed"], strict=True))
    by_label: list[dict[str, Any]] = []
    by_pair: list[dict[str, Any]] = []
    deforms = _deforms(rows, options.method)
    for pair, error in zip(follow(pairs), rows["inverse_consistency_mm"], strict=True):
        labels, row = _score(results, *pair, table, options, deforms)
        by_label += labels
        by_pair.append(row | {"inverse_consistency_mm": error})
    scores = MethodScores(
        by_label_table(by_label),
        by_pair_table(by_pair, region_labels(table) if table is not None else ()),
        timing_table(rows.to_dict("records")),
        sidecar(
            table,
            results.space.grid(options.mm),
            interpolation=options.interpolation,
            space=results.space.name,
        ),
    )
    write_scores(out, scores)
    if options.discard_fields:
        _discard(results, listed, options.method, pairs)


def _deforms(listed: pd.DataFrame, method: str) -> bool:
    """Whether the method leaves fields; lists of an earlier version do not say it."""
    if "deforms" in listed:
        return bool(listed["deforms"].all())
    return method not in names() or spec(method).deforms


def _score(
    results: Results,
    moving: str,
    fixed: str,
    table: pd.DataFrame | None,
    options: Scoring,
    deforms: bool,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    method, image = options.method, read_image(results.preproc(fixed))
    field = None
    # A field that is missing must not pass for the identity.
    if deforms:
        path = results.field(method, moving, fixed)
        field = sample_displacement(read_field(path), image.grid)
    fixed_dseg, warped_dseg = results.dseg(fixed), results.warped_dseg(method, moving, fixed)
    labelled = fixed_dseg.exists() and warped_dseg.exists()
    warp = None if field is None else (field, image.grid)
    cover = pair_cover(results, moving, fixed, image.grid, warp)
    maps = [read_labels(path) if labelled else None for path in (fixed_dseg, warped_dseg)]
    target, warped = (_covered(labels, cover) for labels in maps)
    return score_pair(
        target,
        None if warped is None else warped.data,
        (image.data > 0) if cover is None else (image.data > 0) & cover,
        image,
        read_image(results.warped(method, moving, fixed)).data,
        field,
        table,
        moving=moving,
        fixed=fixed,
        interpolation=options.interpolation,
        moving_image=read_image(results.preproc(moving)).data,
    )


def _covered(labels: Volume | None, cover: np.ndarray | None) -> Volume | None:
    """The label map without what one of the scans does not hold."""
    if labels is None or cover is None:
        return labels
    return Volume(np.where(cover, labels.data, 0).astype(labels.data.dtype), labels.affine)


def _discard(results: Results, listed: Path, method: str, pairs: Iterable[Pair]) -> None:
    # The list first: pairs without fields must not count as registered.
    listed.unlink()
    for pair in pairs:
        for path in (results.field, results.momentum):
            path(method, *pair).unlink(missing_ok=True)
