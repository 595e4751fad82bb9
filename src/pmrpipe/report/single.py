"""The page of one registration: did it work? One self-contained HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pmrpipe import __version__
from pmrpipe.files import write_text
from pmrpipe.report import pictures, sampling, style
from pmrpipe.transforms import Field
from pmrpipe.volume import Grid


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
    from jinja2 import Environment, StrictUndefined

    with style.drawing():
        drawn = pictures.draw(sampling.views_of(images, grid, field))
    here = Path(__file__).parent
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.from_string((here / "single.html").read_text(encoding="utf-8"))
    content = page.render(
        title=title,
        version=__version__,
        facts=facts,
        files=files,
        panels={name: style.data_uri(png, "png") for name, png in drawn.panels.items()},
        titles=pictures.PANELS,
        size=drawn.size,
    )
    write_text(out, content)
