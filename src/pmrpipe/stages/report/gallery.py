"""The pictures of the page: charts and pairs, as data URIs and as files beside the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from pmrpipe.base.files import atomic
from pmrpipe.drawing import pictures, style
from pmrpipe.metrics.choice import choose_pairs
from pmrpipe.stages.report import charts, collect
from pmrpipe.stages.report.pair_reader import PairReader
from pmrpipe.study.paths import pair_name


@dataclass(frozen=True)
class Chart:
    """A chart as data URI, with a second form for narrow screens where there is one."""

    name: str
    title: str
    caption: str
    source: str
    width: int
    narrow: str | None = None


@dataclass(frozen=True)
class Case:
    """The pictures of one pair of one method.

    scale : uncertainty in mm at the upper end of its colours, where there is such a map
    levels : grids as each level alone deforms them, and the file of all of them
    """

    role: str
    moving: str
    fixed: str
    score: str
    panels: dict[str, str]
    size: tuple[int, int]
    file: str
    scale: float | None = None
    levels: dict[str, str] = field(default_factory=dict)
    levels_file: str = ""


def draw_charts(study: collect.Study, folder: Path) -> list[Chart]:
    """Every chart that the study has data for, written to `folder` as SVG and PNG."""
    looks = style.looks([method.name for method in study.methods])
    made = []
    for name, (draw, heading, caption) in _CHARTS.items():
        figure = draw(study, looks)
        if figure is None:
            continue
        narrow = None
        if name in _TWO_FORMS:
            narrow = style.data_uri(style.svg(draw(study, looks, narrow=True)), "svg+xml")
        width = round(_PIXELS_PER_INCH * figure.get_figwidth())
        source = _save(figure, folder, name)
        made.append(Chart(name, heading, caption, source, width, narrow))
    return made


_CHARTS = {
    "regions": (
        charts.region_boxes,
        "Dice by region",
        "Box: quartiles, line: median, whiskers: 1.5 interquartile ranges; with up to 60 pairs "
        "each point is a pair. Region Dice is the mean over the region's labels.",
    ),
    "similarity": (
        charts.similarity_boxes,
        "Similarity and smoothness",
        "NCC of the fixed and the warped image inside the fixed brain, and SDlogJ of the "
        "deformation.",
    ),
    "dice-folding": (
        charts.dice_against_folding,
        "Accuracy against folding",
        "Small: single pairs; large: means over pairs. Lower right is better. The vertical axis "
        "is logarithmic above 0.001 % and linear below.",
    ),
    "dice-seconds": (
        charts.dice_against_seconds,
        "Accuracy against time",
        "Vertical lines: 95 % interval of the mean. Upper left is better.",
    ),
    "training": (
        charts.training_curves,
        "Learning curves",
        "The objectives of two methods have no common scale and are shown z-scored; validation "
        "Dice is comparable.",
    ),
}
# Largest size on the page: letters a little larger than in the figure files.
_PIXELS_PER_INCH = 112
# Charts with a second form for narrow screens.
_TWO_FORMS = ("regions", "training")


def _save(figure: Any, folder: Path, name: str) -> str:
    """Write a figure as SVG and PNG; the SVG as data URI."""
    content = style.svg(figure)
    _write_bytes(folder / f"{name}.svg", content)
    _write_bytes(folder / f"{name}.png", style.png(figure))
    return style.data_uri(content, "svg+xml")


def _write_bytes(path: Path, content: bytes) -> None:
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def draw_cases(
    study: collect.Study, folder: Path, say: Callable[[str], None], workers: int = 1
) -> dict[str, list[Case]]:
    """Pictures of the best, median and worst pair of each method that has images.

    Parameters
    ----------
    workers : processes that draw, a method each; the pictures do not depend on it
    """
    draw = partial(_draw_method, study, folder)
    found = {}
    with _mapper(workers) as mapped:
        for method, cases in zip(study.methods, mapped(draw, study.methods), strict=True):
            say(f"drew pairs of {method.name}")
            if cases:
                found[method.name] = cases
    return found


@contextmanager
def _mapper(workers: int) -> Iterator[Callable[..., Iterable[Any]]]:
    if workers == 1:
        yield map
        return
    # Forked, so that they draw with the settings of this process.
    with ProcessPoolExecutor(workers, get_context("fork")) as pool:
        yield pool.map


def _draw_method(study: collect.Study, folder: Path, method: collect.MethodResult) -> list[Case]:
    reader = PairReader(study.results, study.label_table)
    measure = "Dice" if study.labelled else "NCC"
    cases = []
    for role, moving, fixed, score in choose_pairs(method.scores.by_pair):
        views = reader.views(method.name, moving, fixed)
        if views is None:
            continue
        drawn, alone = pictures.draw(views), pictures.draw_levels(views)
        stem = f"figures/{method.name}_{role}_{pair_name(moving, fixed)}"
        _write_bytes(folder / f"{stem}.png", drawn.sheet)
        case = Case(
            role,
            moving,
            fixed,
            f"{measure} {score:.3f}",
            _data_uris(drawn),
            drawn.size,
            f"{stem}.png",
            drawn.scale,
        )
        if alone is not None:
            _write_bytes(folder / f"{stem}_levels.png", alone.sheet)
            case = replace(case, levels=_data_uris(alone), levels_file=f"{stem}_levels.png")
        cases.append(case)
    return cases


def _data_uris(drawn: pictures.Pictures) -> dict[str, str]:
    return {name: style.data_uri(content, "png") for name, content in drawn.panels.items()}
