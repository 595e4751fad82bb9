"""What comparing scans of one person gives: a table, maps with their noise, transforms, a page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pmrpipe.base.files import write_json, write_rows, write_text
from pmrpipe.drawing import html, style
from pmrpipe.drawing.slices import coloured_png, slices_png
from pmrpipe.drawing.views import views_of
from pmrpipe.images.resampling import Field, resample, sample_points
from pmrpipe.images.transforms import write_field
from pmrpipe.images.volume import Volume, write_volume
from pmrpipe.stages.change.symmetric import Flow
from pmrpipe.stages.change.volumes import COLUMNS
from pmrpipe.study.sidecar import sidecar_path

TABLE, FACTS = "change.tsv", "change.json"
BRAIN, LESION = "brain", "lesion"
# What an unchanged brain with another noise and coil can show, percent: docs/log.md.
CLEAR_PERCENT = 0.3
_LOGJ, _NOISE = "space-first_desc-logjacobian_map.nii.gz", "space-first_desc-noise_map.nii.gz"
_FORWARD = "from-{scan}_to-first_mode-image_xfm.nii.gz"
_INVERSE = "from-first_to-{scan}_mode-image_xfm.nii.gz"
_LESION = "space-{scan}_desc-lesion_mask.nii.gz"
_ABOUT = {
    "label": {"Description": "number of the label; or brain, or lesion"},
    "volume_first": {"Description": "volume in the first scan", "Units": "mm3"},
    "volume_second": {"Description": "volume in the later scan", "Units": "mm3"},
    "percent": {"Description": "change in percent of the first volume"},
    "noise_percent": {"Description": "deviation of `percent` where nothing has changed"},
    "name": {"Description": "name of the label"},
    "scan": {"Description": "the later scan"},
}
_CAPTIONS = {
    _LOGJ: "logarithm of how many times larger the scan is, on the first scan's grid",
    _NOISE: "deviation of that map where nothing changed",
    _FORWARD: "resamples images of the scan onto the first; one ITK displacement field",
    _INVERSE: "the other direction",
    _LESION: "where the registration puts the lesion in the scan",
}


@dataclass(frozen=True)
class Interval:
    """A later scan against the first.

    entity : what names of files call the scan: scan-2, ses-02
    images : both in the half-way space, (X, Y, Z) in [0, 1]
    noise : deviation of the log-Jacobian without change, there, or None
    log_jacobian, noise_on_first : on the first scan's grid
    fields : to points of this scan on the first one's grid, and back; RAS mm
    lesion : on this scan's grid, whose affine stands beside it, or None
    """

    scan: str
    entity: str
    images: tuple[np.ndarray, np.ndarray]
    flow: Flow
    noise: np.ndarray | None
    log_jacobian: Volume
    noise_on_first: Volume | None
    fields: tuple[Field, Field]
    lesion: np.ndarray | None
    affine: np.ndarray
    doubts: tuple[str, ...]


@dataclass(frozen=True)
class Changed:
    """The intervals, the rows of change.tsv, and what was done."""

    intervals: tuple[Interval, ...]
    table: list[dict[str, Any]]
    facts: dict[str, Any]


def write_changed(changed: Changed, folder: Path, page: str, prefix: str = "") -> None:
    """Write everything, each file whole or not at all; change.json first, so that what a killed
    run leaves is known as pmrpipe's.

    Parameters
    ----------
    page : name of the page
    prefix : of the names of maps and transforms: sub-X_ in a study
    """
    write_json(folder / FACTS, changed.facts | _ABOUT)
    files = {TABLE: "volumes in both scans, their change and its noise", FACTS: "what was done"}
    for interval in changed.intervals:
        for name, what in _write_interval(interval, folder, prefix).items():
            files[name] = f"{what} ({interval.scan})"
    write_rows(folder / TABLE, COLUMNS, changed.table)
    _write_page(changed, folder / page, files)


def _write_interval(interval: Interval, folder: Path, prefix: str) -> dict[str, str]:
    """The files of one interval, its entity in their names, with their captions."""
    scan, written = interval.entity.replace("-", ""), {}
    for name, image in ((_LOGJ, interval.log_jacobian), (_NOISE, interval.noise_on_first)):
        if image is not None:
            own = f"{prefix}{interval.entity}_{name}"
            write_volume(folder / own, image.data, image.affine, np.float32)
            written[own] = _CAPTIONS[name]
    for name, field in zip((_FORWARD, _INVERSE), interval.fields, strict=True):
        own = prefix + name.format(scan=scan)
        about = {"Frame": "LPS (ITK's world)", "Units": "mm", "Scan": interval.scan}
        write_json(sidecar_path(folder / own), about | {"Direction": _CAPTIONS[name]})
        write_field(folder / own, *field)
        written[own] = _CAPTIONS[name]
    if interval.lesion is not None:
        own = prefix + _LESION.format(scan=scan)
        write_volume(folder / own, interval.lesion, interval.affine)
        written[own] = _CAPTIONS[_LESION]
    return written


# -- page ----------------------------------------------------------------------------------------
def _write_page(changed: Changed, out: Path, files: dict[str, str]) -> None:
    content = html.render(
        Path(__file__).parent / "page.html",
        title=f"Change since {changed.facts['scans'][0]}",
        facts=_top(changed),
        warnings=changed.facts["warnings"],
        intervals=[_pictures(interval) for interval in changed.intervals],
        rows=changed.table,
        files=files,
        clear=CLEAR_PERCENT,
    )
    write_text(out, content)


def _top(changed: Changed) -> list[tuple[str, str]]:
    facts = [("Scans", str(len(changed.facts["scans"])))]
    for row in changed.table:
        if row["label"] in (BRAIN, LESION):
            noise = row["noise_percent"]
            # The repetitions know no other coil and no interpolation: less than this is not told.
            told = f"{row['percent']:+.2f} %"
            told += "" if noise is None else f" ± {max(noise, CLEAR_PERCENT):.1f}"
            facts.append((f"{row['name'].capitalize()}, {row['scan']}", told))
    if "seconds" in changed.facts:
        facts.append(("Seconds", f"{changed.facts['seconds']:.0f}"))
    return facts


def _pictures(interval: Interval) -> dict[str, Any]:
    """Data URIs of an interval's pictures, all cut alike."""
    grid, flow = interval.flow.full, interval.flow
    first, second = interval.images
    aligned = [
        resample(Volume(image, grid.affine), sample_points(grid, field=flow.field(time)))
        for image, time in ((first, -0.5), (second, 0.5))
    ]
    pictures: dict[str, Any] = {"scan": interval.scan, "noise": None}
    # Cut where any of them begins: what flickers must lie on what it flickers with.
    whole = np.maximum.reduce([first, second, *aligned])
    names = ("first", "second", "to", "fro")
    for name, image in zip(names, (first, second, *aligned), strict=True):
        png, _ = slices_png(views_of((image, whole, whole), grid, None), 1.0)
        pictures[name] = style.data_uri(png, "png")
    grey = views_of((first, whole, whole), grid, None)
    percent = 100 * np.expm1(flow.log_jacobian) * (first > 0)
    limit = _limit(percent[first > 0])
    colours = [("change", percent)]
    if interval.noise is not None:
        colours.append(("noise", 100 * interval.noise * (first > 0)))
    for name, values in colours:
        shown = [view.moving for view in views_of((values, whole, whole), grid, None)]
        pictures[name] = style.data_uri(coloured_png(grey, shown, limit), "png")
    return pictures | {"limit": f"{limit:g}"}


def _limit(values: np.ndarray) -> float:
    """1, 2 or 5 times a power of ten that nearly all values stay below, in percent."""
    high = max(float(np.quantile(np.abs(values), 0.99)), 0.5)
    power = 10.0 ** np.floor(np.log10(high))
    return float(next(n * power for n in (1, 2, 5, 10) if n * power >= high * (1 - 1e-9)))
