"""The page of one registration: did it work? One self-contained HTML file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pmrpipe.base.files import write_text
from pmrpipe.drawing import html, pictures, style
from pmrpipe.drawing.energies import energy_chart
from pmrpipe.drawing.views import views_of
from pmrpipe.native.result import NativeRegistration

# Facts of register.json that stand at the top: name, caption, how it is written.
_TOP = (
    ("method", "Method", "{}"),
    ("ncc_affine", "Similarity (NCC), affine", "{:.3f}"),
    ("ncc", "Similarity (NCC), registered", "{:.3f}"),
    ("correlation_ratio_affine", "Correlation ratio, affine", "{:.3f}"),
    ("correlation_ratio", "Correlation ratio, registered", "{:.3f}"),
    ("folding_percent", "Folded voxels", "{:.3g} %"),
    ("sdlogj", "SDlogJ", "{:.3f}"),
    ("strain", "Strain", "{:.3f}"),
    ("seconds", "Seconds", "{:.1f}"),
)


def write_pair_page(out: Path, result: NativeRegistration, files: Mapping[str, str]) -> None:
    """Write a page with flickering before and after, all panels, the numbers and the files.

    Parameters
    ----------
    files : names of the files beside the page, and what each is
    """
    shown, facts = result.on_template, result.facts
    with style.drawing():
        drawn = pictures.draw(views_of(_images(result), shown.grid, shown.field))
    content = html.render(
        Path(__file__).parent / "page.html",
        title=f"{facts['moving']} to {facts['fixed']}",
        facts=[
            (caption, form.format(facts[name])) for name, caption, form in _TOP if name in facts
        ],
        warnings=_warnings(result),
        files=files,
        energies=_energies(result),
        panels={name: style.data_uri(png, "png") for name, png in drawn.panels.items()},
        titles=pictures.PANELS,
        size=drawn.size,
    )
    write_text(out, content)


def _images(result: NativeRegistration) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Moving after the affines, fixed, warped; (X, Y, Z) in [0, 1] on the template grid."""
    shown = result.on_template
    return shown.moving, shown.fixed, shown.warped


def _energies(result: NativeRegistration) -> str | None:
    """The chart of the descent as a data URI, where there was one."""
    if result.geodesic is None or not result.geodesic.energies:
        return None
    with style.drawing():
        return style.data_uri(style.svg(energy_chart(result.geodesic.energies)), "svg+xml")


def _warnings(result: NativeRegistration) -> list[tuple[str, str]]:
    """What each warning is about, and the warning."""
    names = {which: f"{result.facts[which]} ({which})" for which in ("moving", "fixed")}
    return [
        (names.get(what, "the registration"), warning)
        for what, warnings in result.facts["warnings"].items()
        for warning in warnings
    ]
