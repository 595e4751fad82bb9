"""The page of a template: rounds side by side, sharpness, what was taken back, how scans fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pmrpipe.base.files import write_text
from pmrpipe.drawing import html, style
from pmrpipe.drawing.slices import slices_png
from pmrpipe.drawing.views import views_of
from pmrpipe.images.volume import read_image
from pmrpipe.study.template_paths import TemplatePaths

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Rows = Sequence[Mapping[str, Any]]
_CURVES = (
    ("sharpness", "sharpness, 1/mm"),
    ("change", "change of the template"),
    ("taken_back_mm", "taken back, mm"),
)


def write_template_page(
    paths: TemplatePaths, rows: Rows, subjects: Rows, scans: int, contrasts: Sequence[str] = ()
) -> None:
    """Write one self-contained HTML file.

    contrasts : other ones, in which the template lies beside it
    """
    pictures, size = _pictures(paths, len(rows))
    with style.drawing():
        chart = style.data_uri(style.svg(_chart(rows)), "svg+xml")
    content = html.render(
        Path(__file__).parent / "template.html",
        title=f"Template {paths.name}",
        facts=_facts(rows, subjects, scans),
        pictures=pictures,
        along=[_along(paths, contrast) for contrast in contrasts],
        size=size,
        chart=chart,
        rows=rows,
        subjects=subjects,
        labelled=any("dice" in row for row in subjects),
        space=paths.space.name,
    )
    write_text(paths.page, content)


def _pictures(paths: TemplatePaths, count: int) -> tuple[list[tuple[str, str]], tuple[int, int]]:
    """Title and data URI of each round's template, all cut alike and equally bright."""
    images = [read_image(paths.round_template(number)) for number in range(count)]
    last = images[-1]
    top = float(last.data.max()) * 0.95
    whole = np.maximum.reduce([image.data for image in images])
    pictures, size = [], (0, 0)
    for number, image in enumerate(images):
        views = views_of((image.data, whole, whole), last.grid, None)
        png, size = slices_png(views, top)
        title = "Before the first round" if number == 0 else f"Round {number}"
        pictures.append((title, style.data_uri(png, "png")))
    return pictures, size


def _along(paths: TemplatePaths, contrast: str) -> tuple[str, str]:
    """Contrast and data URI of the template in it, cut as the rounds are."""
    image, brain = read_image(paths.along(contrast)), read_image(paths.brain).data
    views = views_of((image.data, brain, brain), image.grid, None)
    png, _ = slices_png(views, float(image.data.max()) * 0.95)
    return contrast, style.data_uri(png, "png")


def _facts(rows: Rows, subjects: Rows, scans: int) -> list[tuple[str, str]]:
    first, last = rows[0], rows[-1]
    facts = [
        ("Scans", str(scans)),
        ("Rounds", str(len(rows) - 1)),
        ("Sharpness, 1/mm", f"{first['sharpness']:.4f} to {last['sharpness']:.4f}"),
        ("Mean displacement left", f"{last['mean_displacement_mm']:.4f} mm"),
        ("Similarity (NCC) of the scans", _span(subjects, "ncc")),
    ]
    if any("dice" in row for row in subjects):
        facts.append(("Dice between scans", _span(subjects, "dice")))
    return facts


def _span(subjects: Rows, name: str) -> str:
    """Mean after the affine, and in the template."""
    means = []
    for column in (f"{name}_affine", name):
        values = [row[column] for row in subjects if column in row]
        means.append(f"{sum(values) / len(values):.3f}")
    return " to ".join(means)


def _chart(rows: Rows) -> Figure:
    figure = style.figure(9.0, 2.6)
    for place, (name, label) in enumerate(_CURVES, start=1):
        axes = figure.add_subplot(1, 3, place)
        points = [(row["round"], row[name]) for row in rows if name in row]
        axes.plot(*zip(*points, strict=True), "o-", color="#0072B2", lw=1.8, ms=5)
        axes.set(xlabel="round", title=label, xticks=[row["round"] for row in rows])
        axes.set_ylim(bottom=0)
    return figure
