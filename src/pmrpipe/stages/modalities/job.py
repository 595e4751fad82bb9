"""Scans of one session of a study on its T1w's grid: each by a job of its own, then their page."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pmrpipe.base.files import read_json, write_json
from pmrpipe.images.transforms import read_affine
from pmrpipe.images.volume import read_image, read_mask, write_volume
from pmrpipe.stages.modalities.overlay import Overlay, overlay
from pmrpipe.stages.modalities.page import write_page
from pmrpipe.study.keys import contrast_of
from pmrpipe.study.options.modalities import Overlaying, SessionPage
from pmrpipe.study.paths import Results
from pmrpipe.study.sidecar import sidecar_path


def bring(results: Results, options: Overlaying) -> None:
    """Write one scan on the T1w's grid, and its sidecar."""
    t1w = read_image(options.image, options.orientation)
    scan = read_image(options.scan_image, options.scan_orientation)
    mask = read_mask(results.mask(options.t1w))
    # Both affines begin in the template, and differ by the rigid transform alone.
    affines = [read_affine(results.affine(key)) for key in (options.t1w, options.scan)]
    rigid = affines[1] @ np.linalg.inv(affines[0])
    shown = overlay(options.scan, contrast_of(options.scan), scan, t1w, mask.data, rigid)
    out = results.overlay(options.scan, options.t1w)
    content = {
        "Description": f"{options.scan} on the grid of {options.t1w}, by a rigid transform",
        "MatrixRAS": [[round(float(value), 9) for value in row] for row in rigid],
        "Sources": [options.scan_image.name, options.image.name],
        "Quality": shown.facts,
    }
    write_json(sidecar_path(out), content)
    write_volume(out, shown.image.data, t1w.affine, np.float32)


def draw(results: Results, options: SessionPage) -> None:
    """Write the page of a session's scans."""
    t1w = read_image(options.image, options.orientation)
    mask = read_mask(results.mask(options.t1w))
    paths = {key: results.overlay(key, options.t1w) for key in options.scans}
    files = {path.name: f"{key} on the T1w's grid" for key, path in paths.items()}
    shown = [_read(key, path) for key, path in paths.items()]
    write_page(results.modalities(options.t1w, "page.html"), options.t1w, t1w, mask, shown, files)


def _read(key: str, path: Path) -> Overlay:
    return Overlay(
        key, contrast_of(key), read_image(path), read_json(sidecar_path(path))["Quality"]
    )
