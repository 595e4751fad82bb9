"""The page of one registration: did it work? One self-contained HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pmrpipe.base.files import write_text
from pmrpipe.drawing import html, pictures, style
from pmrpipe.drawing.views import views_of
from pmrpipe.images.resampling import Field
from pmrpipe.images.volume import Grid


def write_pair_page(
    out: Path,
    images: tuple[np.ndarray, np.ndarray, np.ndarray],
    grid: Grid,
    field: Field,
    *,
    title: str,
    facts: Sequence[tuple[str, str]],
    files: Mapping[str, str],
) -> None:
    """Write a page with flickering before and after, all panels, the numbers and the files.

    Parameters
    ----------
    images : moving after the affines, fixed, warped; (X, Y, Z) in [0, 1] on `grid`
    field : displacement in RAS mm and its grid
    facts : names and values that stand at the top
    files : names of the files beside the page, and what each is
    """
    with style.drawing():
        drawn = pictures.draw(views_of(images, grid, field))
    content = html.render(
        Path(__file__).parent / "page.html",
        title=title,
        facts=facts,
        files=files,
        panels={name: style.data_uri(png, "png") for name, png in drawn.panels.items()},
        titles=pictures.PANELS,
        size=drawn.size,
    )
    write_text(out, content)
