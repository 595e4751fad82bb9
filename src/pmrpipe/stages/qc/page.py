"""The quality page of one scan, `sub-X.html`, with its figures and measures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pmrpipe.base.files import read_json, write_bytes, write_json, write_text
from pmrpipe.drawing import html, style
from pmrpipe.images.resampling import resample, sample_points
from pmrpipe.images.transforms import read_affine
from pmrpipe.images.volume import Volume, header_disagreement, read_image, read_mask
from pmrpipe.stages.qc import figures
from pmrpipe.stages.qc.measures import doubts, measure, measure_cover, measure_source
from pmrpipe.study.keys import QC_FIGURES, T1W, contrast_of
from pmrpipe.study.paths import Results
from pmrpipe.study.sidecar import sidecar_path

_NAMES = {
    "brain_ml": "Brain volume, ml",
    "border_percent": "Brain at the edge, %",
    "mask_dice": "Overlap with the template",
    "correlation": "Correlation with the template",
    "correlation_ratio": "Correlation ratio with the template",
    "attempts": "Starts of the affine",
    "snr": "Signal to noise",
    "scale_min": "Smallest size against the template",
    "scale_max": "Largest size against the template",
    "contrast": "Middle half of the grey values",
    "extreme_voxels": "Voxels limited, as no tissue has",
    "header_mm": "sform and qform apart, mm",
    "core_correlation": "Correlation away from the edge",
    "cover": "Part of the brain's place in the scan",
}


def write_page(
    t1w: Path, results: Results, key: str, *, orientation: str | None = None
) -> dict[str, Any]:
    """Write measures (JSON), figures (SVG) and the page of one preprocessed scan; page last.

    Raises
    ------
    InputError : a file is missing or unreadable
    """
    image = read_image(t1w, orientation)
    brain, mask = read_image(results.brain(key)), read_mask(results.mask(key))
    white, template = (read_image(results.preproc(k)) for k in (key, results.space.key))
    sidecar = read_json(sidecar_path(results.affine(key)))
    # The template is a T1w: another contrast may well be its opposite.
    alike = template if contrast_of(key) == T1W else None
    measures = measure(brain, mask, sidecar["Quality"], white.data, alike)
    measures |= measure_source(image, mask, header_disagreement(t1w))
    measures |= measure_cover(image.grid, read_affine(results.affine(key)), template)
    before = _unmoved(brain, template)
    with style.drawing():
        drawn = {
            "mask": figures.mask_figure(image, mask),
            "before": figures.template_figure(before, template.data),
            "after": figures.template_figure(white.data, template.data),
            "intensities": figures.histogram_figure(brain.data, white.data, template.data),
        }
        pictures = {name: style.svg(figure) for name, figure in drawn.items()}
    for name, content in pictures.items():
        write_bytes(results.qc_figure(key, name), content)
    write_json(
        results.qc_measures(key), {"key": key, **{k: _short(v) for k, v in measures.items()}}
    )
    write_text(results.qc_page(key), _render(results, key, measures))
    return measures


def write_template_figure(results: Results) -> None:
    """Write the figure of the template that the pages of all scans show."""
    template = read_image(results.preproc(results.space.key)).data
    with style.drawing():
        content = style.svg(figures.template_figure(template, template))
    write_bytes(results.qc_figure(results.space.key, "template"), content)


def _unmoved(brain: Volume, template: Volume) -> np.ndarray:
    """The brain on the template grid with only its centre brought there, in [0, 1]."""
    shift = np.eye(4)
    shift[:3, 3] = _centre(brain) - _centre(template)
    values = resample(brain, sample_points(template.grid, shift), "linear")
    return values / np.quantile(brain.data[brain.data > 0], 0.995)


def _centre(volume: Volume) -> np.ndarray:
    index = np.argwhere(volume.data > 0).mean(axis=0)
    return volume.affine[:3, :3] @ index + volume.affine[:3, 3]


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _render(results: Results, key: str, measures: dict[str, float]) -> str:
    places = {name: results.qc_figure(key, name) for name in QC_FIGURES}
    places["template"] = results.qc_figure(results.space.key, "template")
    return html.render(
        Path(__file__).parent / "page.html",
        key=key,
        space=results.space.name,
        facts=[(_NAMES[name], f"{value:.4g}") for name, value in measures.items()],
        doubts=doubts(measures),
        figures={name: path.relative_to(results.root) for name, path in places.items()},
    )
