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

from pmrpipe.base.files import read_tsv, write_bytes
from pmrpipe.drawing import pictures, style
from pmrpipe.drawing.energies import energy_chart
from pmrpipe.metrics import entries
from pmrpipe.metrics.choice import choose_pairs
from pmrpipe.metrics.metric import Metric, TradeOff
from pmrpipe.stages.report import charts, collect, references, trade_offs
from pmrpipe.stages.report.equivariance import equivariance_curves
from pmrpipe.stages.report.pair_reader import PairReader
from pmrpipe.study.keys import pair_name


@dataclass(frozen=True)
class Chart:
    """A chart as data URI, with a second form for narrow screens where there is one.

    section : where on the page it stands
    """

    section: str
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
    energy : the energy's terms at every iteration, of a method that descends one, and their file
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
    energy: str = ""
    energy_file: str = ""


def draw_charts(study: collect.Study, folder: Path) -> list[Chart]:
    """Every chart that the study has data for, written to `folder` as SVG and PNG."""
    looks = style.looks(
        [method.name for method in study.methods],
        plain=[method.name for method in study.methods if not method.deforms],
    )
    charts = (_draw_chart(plan, study, looks, folder) for plan in _plans())
    return [chart for chart in charts if chart is not None]


@dataclass(frozen=True)
class _Plan:
    """A chart to draw; `two_forms`: it is drawn again, narrow, for small screens."""

    section: str
    name: str
    draw: Callable[..., Any]
    title: str
    caption: str
    two_forms: bool = False


def _draw_chart(
    plan: _Plan, study: collect.Study, looks: dict[str, style.Look], folder: Path
) -> Chart | None:
    figure = plan.draw(study, looks)
    if figure is None:
        return None
    narrow = None
    if plan.two_forms:
        narrow = style.data_uri(style.svg(plan.draw(study, looks, narrow=True)), "svg+xml")
    width = round(_PIXELS_PER_INCH * figure.get_figwidth())
    source = _save(figure, folder, plan.name)
    return Chart(plan.section, plan.name, plan.title, plan.caption, source, width, narrow)


def _plans() -> list[_Plan]:
    """Every chart, in the order of the page."""
    metrics = entries.METRICS
    against = [_against(m, m.trade_off) for m in metrics if m.trade_off is not None]
    return [*_DISTRIBUTIONS, *against, _TIME, *_BESIDE, _TRAINING, _MOVED]


def _against(metric: Metric, chart: TradeOff) -> _Plan:
    corner = "Upper" if metric.best == "max" else "Lower"
    caption = f"Small: single pairs; large: means over pairs. {corner} right is better."
    if chart.linear_below is not None:
        linear = f"{chart.linear_below:g} {metric.unit}".strip()
        caption += f" The vertical axis is logarithmic above {linear} and linear below."
    draw = partial(trade_offs.accuracy_against, column=metric.name, chart=chart)
    return _Plan("trade-offs", f"dice-{chart.name}", draw, chart.title, caption)


_DISTRIBUTIONS = (
    _Plan(
        "distributions",
        "regions",
        charts.region_boxes,
        "Dice by region",
        "Box: quartiles, line: median, whiskers: 1.5 interquartile ranges; with up to 60 pairs "
        "each point is a pair. Region Dice is the mean over the region's labels.",
        two_forms=True,
    ),
    _Plan(
        "distributions",
        "similarity",
        charts.similarity_boxes,
        "Similarity and smoothness",
        "NCC of the fixed and the warped image inside the fixed brain; measures of the "
        "deformation, which are smaller for a smoother one.",
    ),
)
_TIME = _Plan(
    "trade-offs",
    "dice-seconds",
    trade_offs.accuracy_against_seconds,
    "Accuracy against time",
    "Vertical lines: 95 % interval of the mean. Upper left is better.",
)
_BESIDE = (
    _Plan(
        "reference",
        "reference-overlap",
        references.overlap_boxes,
        "Target overlap",
        "Of each pair: the mean over the scored labels of the fixed scan of the part that the "
        "warped label covers. Box: quartiles, line: median, whiskers: 1.5 interquartile ranges.",
    ),
    _Plan(
        "reference",
        "reference-errors",
        references.error_boxes,
        "Distance to the map of the reference",
        "Over the voxels of the fixed brains of all pairs. Line: median, box: 25th to 75th "
        "percentile, whiskers: 5th and 95th, points: 0.3rd and 99.7th. Lower is nearer, and not "
        "by itself better.",
    ),
    _Plan(
        "reference",
        "reference-jacobians",
        references.volume_histograms,
        "Change of volume",
        "Left: log10 det J over the voxels of the fixed brains of all pairs. Right: voxel by voxel "
        "the method's minus the reference's. Folds are in the class at the lower end.",
    ),
    _Plan(
        "reference",
        "reference-devices",
        references.device_times,
        "Time of a registration",
        "Median seconds a pair, images in memory to map in memory, by threads or devices.",
    ),
)
_TRAINING = _Plan(
    "training",
    "training",
    charts.training_curves,
    "Learning curves",
    "The objectives of two methods have no common scale and are shown z-scored; validation "
    "Dice is comparable.",
    two_forms=True,
)
_MOVED = _Plan(
    "equivariance",
    "equivariance",
    equivariance_curves,
    "Images that were moved",
    "Mean distance over the brain between the map of the moved images and the moved map of the "
    "images as they were; the affine normalisation is not run again. Lower is better; the axis "
    "is linear below 0.1 mm. Moved by whole voxels and quarter turns nothing is interpolated.",
    two_forms=True,
)
# Largest size on the page: letters a little larger than in the figure files.
_PIXELS_PER_INCH = 112


def _save(figure: Any, folder: Path, name: str) -> str:
    """Write a figure as SVG and PNG; the SVG as data URI."""
    content = style.svg(figure)
    write_bytes(folder / f"{name}.svg", content)
    write_bytes(folder / f"{name}.png", style.png(figure))
    return style.data_uri(content, "svg+xml")


def draw_cases(
    study: collect.Study, folder: Path, say: Callable[[str], None], workers: int = 1
) -> dict[str, list[Case]]:
    """Pictures of the best, median and worst pair of each method that has images.

    Parameters
    ----------
    workers : processes that draw, a method each; the pictures do not depend on it
    """
    draw = partial(_draw_method, study, folder)
    with_pictures = {}
    with _mapper(workers) as mapped:
        for method, cases in zip(study.methods, mapped(draw, study.methods), strict=True):
            say(f"drew pairs of {method.name}")
            if cases:
                with_pictures[method.name] = cases
    return with_pictures


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
        write_bytes(folder / f"{stem}.png", drawn.sheet)
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
            write_bytes(folder / f"{stem}_levels.png", alone.sheet)
            case = replace(case, levels=_data_uris(alone), levels_file=f"{stem}_levels.png")
        energies = study.results.energies(method.name, moving, fixed)
        if energies.exists():
            case = _with_energy(case, energies, folder, f"{stem}_energy.svg")
        cases.append(case)
    return cases


def _with_energy(case: Case, path: Path, folder: Path, name: str) -> Case:
    """The case with the chart of its descent, which becomes a file of this name too."""
    rows = read_tsv(path, ("level_mm", "total", "regularity", "matching")).to_dict("records")
    content = style.svg(energy_chart([{str(k): v for k, v in row.items()} for row in rows]))
    write_bytes(folder / name, content)
    return replace(case, energy=style.data_uri(content, "svg+xml"), energy_file=name)


def _data_uris(drawn: pictures.Pictures) -> dict[str, str]:
    return {name: style.data_uri(content, "png") for name, content in drawn.panels.items()}
