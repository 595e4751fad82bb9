"""Pictures of a pair: images with contours, deformed grids, Jacobian, uncertainty.

Each panel shows three views, one below the other, one panel a PNG; the panels side by side are
the figure file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pmrpipe.drawing.canvas import LINE_COLOURS, TITLE, Canvas, Place, palette_png
from pmrpipe.drawing.style import REGION_COLOURS
from pmrpipe.drawing.views import View

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS = {
    "moving": "Moving",
    "fixed": "Fixed",
    "warped": "Warped",
    "grid": "Deformed grid",
    "jacobian": "Jacobian",
    "uncertainty": "Uncertainty",
}
JACOBIAN_MAP = "PuOr"
UNCERTAINTY_MAP = "plasma"
# How much of the colour stands in a map over an image.
_OVERLAY = 0.6
# The map shows log2 det J from half to twice the volume.
JACOBIAN_RANGE = 1.0
_PIXELS_PER_MM, _GAP = 1.7, 6
_GRID_MM = 6.0
# Colours of the palette of one panel, and of the sheet of all.
_COLOURS, _SHEET_COLOURS = 128, 256
# Panels with an image are black, the others white.
_DARK = ("moving", "fixed", "warped")
_SIDES = {"axial": ("L", "R"), "coronal": ("L", "R"), "sagittal": ("P", "A")}


@dataclass(frozen=True)
class Pictures:
    """PNG of each panel by its name, their size in pixels, and all panels in one PNG.

    `scale` is the uncertainty in mm at the upper end of its colours, None without such a map.
    """

    panels: dict[str, bytes]
    size: tuple[int, int]
    sheet: bytes
    scale: float | None = None


@dataclass(frozen=True)
class _Panel:
    """A column of three views; `scale` asks for a bar of colours up to that many mm.

    `lines` : there is nothing but lines, which few colours show as well
    """

    title: str
    draw: Callable[[Place, View], None]
    dark: bool = False
    scale: float | None = None
    lines: bool = False

    @property
    def palette(self) -> int:
        """How many colours its PNG has."""
        return LINE_COLOURS if self.lines else _COLOURS


def draw(views: list[View]) -> Pictures:
    """Draw the panels of one pair: those that it has data for."""
    panels = {name: _Panel(PANELS[name], _DRAWERS[name], dark=True) for name in _DARK}
    if all(view.jacobian is not None for view in views):
        panels["grid"] = _Panel(PANELS["grid"], _grid, lines=True)
        panels["jacobian"] = _Panel(PANELS["jacobian"], _jacobian)
    if all(view.uncertainty is not None for view in views):
        scale = _scale(views)
        drawer = partial(_uncertainty, scale=scale)
        panels["uncertainty"] = _Panel(PANELS["uncertainty"], drawer, dark=True, scale=scale)
    return _sheet(views, panels)


def draw_levels(views: list[View]) -> Pictures | None:
    """Draw the grid as each level alone deforms it; None where nobody wrote that."""
    count = min(len(view.levels) for view in views)
    titles = [f"Level {n} alone" for n in range(1, count + 1)]
    panels = {
        f"level-{n}": _Panel(title, partial(_level, number=n), lines=True)
        for n, title in enumerate(titles, start=1)
    }
    return _sheet(views, panels) if panels else None


def _scale(views: list[View]) -> float:
    """1, 2 or 5 times a power of ten that nearly all of the brain stays below."""
    maps = [(view.uncertainty, view.brain) for view in views]
    inside = np.concatenate([values[brain] for values, brain in maps if values is not None])
    high = max(float(np.quantile(inside, 0.99)) if inside.size else 0.0, 1e-3)
    power = 10.0 ** np.floor(np.log10(high))
    return float(next(n * power for n in (1, 2, 5, 10) if n * power >= high * (1 - 1e-9)))


def _sheet(views: list[View], shown: dict[str, _Panel]) -> Pictures:
    sizes = [_pixels(view) for view in views]
    width = max(size[0] for size in sizes)
    height = sum(size[1] for size in sizes) + _GAP * (len(sizes) - 1)
    canvas = Canvas(len(shown) * (width + _GAP) - _GAP, height + TITLE)
    starts = {name: n * (width + _GAP) for n, name in enumerate(shown)}
    for name, panel in shown.items():
        _column(canvas, panel, views, (starts[name], width))
    image = canvas.pixels()
    panels = {
        name: palette_png(image[TITLE:, left : left + width], shown[name].palette)
        for name, left in starts.items()
    }
    scales = [panel.scale for panel in shown.values() if panel.scale is not None]
    sheet = palette_png(image, _SHEET_COLOURS)
    return Pictures(panels, (width, height), sheet, scales[0] if scales else None)


def _column(canvas: Canvas, panel: _Panel, views: list[View], span: tuple[int, int]) -> None:
    """One panel: its title, and its views below each other; `span` is left and width, pixels."""
    left, width = span
    canvas.column(
        left, width, panel.title, dark=panel.dark, scale=panel.scale, colours=UNCERTAINTY_MAP
    )
    top = TITLE
    for view in views:
        wide, high = _pixels(view)
        place = Place(canvas.axes, view, left + (width - wide) // 2, top, wide, high)
        panel.draw(place, view)
        _sides(canvas.axes, view, span, top + high, panel.dark)
        top += high + _GAP


def _pixels(view: View) -> tuple[int, int]:
    rows, columns = view.fixed.shape
    return (
        round(columns * view.spacing[1] * _PIXELS_PER_MM),
        round(rows * view.spacing[0] * _PIXELS_PER_MM),
    )


def _image(place: Place, image: np.ndarray) -> None:
    top = max(float(np.quantile(image, 0.998)), 1e-6)
    place.image(image, cmap="gray", vmin=0, vmax=top, interpolation="bilinear")


def _moving(place: Place, view: View) -> None:
    _image(place, view.moving)
    _contours(place, view.moving_regions)


def _fixed(place: Place, view: View) -> None:
    _image(place, view.fixed)
    _contours(place, view.fixed_regions)


def _warped(place: Place, view: View) -> None:
    _image(place, view.warped)
    _contours(place, view.warped_regions)
    if view.fixed_regions is None:
        _outline(place, view.brain, "#F0E442", (3, 2))
    else:
        _contours(place, view.fixed_regions, target=True)


def _contours(place: Place, regions: np.ndarray | None, target: bool = False) -> None:
    """Outlines of the regions; those of the target are white and dashed."""
    if regions is None:
        return
    numbers = np.unique(regions[regions > 0]).tolist()
    edges = [(number, line) for number in numbers for line in _edges(place, regions == number)]
    lines = [line for _, line in edges]
    if target:
        place.lines(lines, colors="#ffffff", **_dashed((1.5, 2.5)))
    else:
        place.lines(lines, colors=[region_colour(number) for number, _ in edges], lw=1.15)


def region_colour(number: int) -> str:
    """Colour of region 1, 2, ...; it repeats after the last."""
    return REGION_COLOURS[(number - 1) % len(REGION_COLOURS)]


def _outline(
    place: Place, mask: np.ndarray, colour: str, dashes: tuple[float, float] | None = None
) -> None:
    style = _dashed(dashes) if dashes else {"lw": 1.15}
    place.lines(_edges(place, mask), colors=colour, **style)


def _dashed(dashes: tuple[float, float]) -> dict[str, Any]:
    return {"lw": 0.9, "linestyles": [(0, dashes)]}


def _edges(place: Place, mask: np.ndarray) -> list[np.ndarray]:
    """Lines around a mask, in pixels."""
    from contourpy import contour_generator

    # One voxel of margin closes the lines of a region that reaches the border.
    edges: Any = contour_generator(z=np.pad(mask.astype(np.float32), 1)).lines(0.5)
    return [place.points(line[:, 0] - 1, line[:, 1] - 1) for line in edges]


def _grid(place: Place, view: View) -> None:
    _deformed(place, view, _there(view.grid_lines))


def _level(place: Place, view: View, number: int) -> None:
    _deformed(place, view, view.levels[number - 1])


def _deformed(place: Place, view: View, moved: np.ndarray) -> None:
    rows, columns = moved
    step = [max(1, round(_GRID_MM / mm)) for mm in view.spacing]
    points = place.points(columns, rows)
    lines = [*points[:: step[0]], *points[:, :: step[1]].transpose(1, 0, 2)]
    place.lines(lines, colors="#334155", lw=0.7)
    _outline(place, view.brain, "#D55E00")


def _jacobian(place: Place, view: View) -> None:
    jacobian = _there(view.jacobian)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log2(np.where(jacobian > 0, jacobian, np.nan))
    shown = np.where(view.brain, ratio, np.nan)
    limits = {"vmin": -JACOBIAN_RANGE, "vmax": JACOBIAN_RANGE}
    place.image(shown, cmap=JACOBIAN_MAP, interpolation="nearest", **limits)
    folded = np.argwhere(view.brain & (jacobian <= 0))
    points = place.points(folded[:, 1], folded[:, 0])
    place.axes.plot(points[:, 0], points[:, 1], "x", color="black", ms=3.5, mew=1)
    _outline(place, view.brain, "#64748b")


def _uncertainty(place: Place, view: View, scale: float) -> None:
    """Over the fixed image: a doubt is read where the anatomy is seen."""
    place.image(view.fixed, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    shown = np.where(view.brain, _there(view.uncertainty), np.nan)
    style = {"cmap": UNCERTAINTY_MAP, "interpolation": "nearest", "alpha": _OVERLAY}
    place.image(shown, vmin=0, vmax=scale, **style)
    _outline(place, view.brain, "#64748b")


def _sides(axes: Axes, view: View, span: tuple[int, int], bottom: int, dark: bool) -> None:
    colour = "#ffffff" if dark else "#111827"
    places = (span[0] + 5, span[0] + span[1] - 5)
    for x, align, text in zip(places, ("left", "right"), _SIDES[view.name], strict=True):
        axes.text(x, bottom - 4, text, ha=align, va="baseline", fontsize=9, color=colour)


_DRAWERS = {
    "moving": _moving,
    "fixed": _fixed,
    "warped": _warped,
}


def _there(values: np.ndarray | None) -> np.ndarray:
    """What a panel draws: a panel is made only where all views have it."""
    if values is None:
        raise ValueError("the view lacks what its panel draws")
    return values
