"""What pictures are drawn on: one canvas measured in pixels, places of views on it, palette PNG."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pmrpipe.drawing.views import View

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Height of the title above a panel, pixels.
TITLE = 26
# A palette of at most this many colours is one of lines alone.
LINE_COLOURS = 16


class Canvas:
    """One pair of axes over the whole figure, measured in pixels from its upper left corner.

    One for all views: axes cost more time than everything that is drawn in them.
    """

    _DPI = 100

    def __init__(self, width: int, height: int) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self._figure = Figure(figsize=(width / self._DPI, height / self._DPI), dpi=self._DPI)
        FigureCanvasAgg(self._figure)
        self.axes: Axes = self._figure.add_axes((0, 0, 1, 1))
        self.axes.set_axis_off()
        self.axes.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
        self._height = height

    def column(
        self, left: int, width: int, title: str, *, dark: bool, scale: float | None, colours: str
    ) -> None:
        """Title and background of one panel; with a scale, its bar of colours beside the title.

        Parameters
        ----------
        scale : mm at the upper end of the bar
        colours : the bar's colour map
        """
        from matplotlib.patches import Rectangle

        share = 0.5 if scale is None else 0.27
        centre = (left + width * share, TITLE / 2)
        self.axes.text(*centre, title, ha="center", va="center", fontsize=11)
        if scale is not None:
            self._bar(left + width * 0.57, width * 0.18, scale, colours)
        if dark:
            box = Rectangle((left, TITLE), width, self._height, color="black", lw=0, zorder=-1)
            self.axes.add_patch(box)

    def _bar(self, left: float, width: float, scale: float, colours: str) -> None:
        extent = (left, left + width, TITLE * 0.7, TITLE * 0.3)
        ramp = np.linspace(0, 1, 64)[None]
        self.axes.imshow(ramp, extent=extent, aspect="auto", cmap=colours)
        ends = (left - 4, "right", "0"), (left + width + 4, "left", f"{scale:g} mm")
        for x, align, text in ends:
            self.axes.text(x, TITLE / 2, text, ha=align, va="center", fontsize=9)

    def pixels(self) -> np.ndarray:
        """(height, width, 3) uint8."""
        canvas: Any = self._figure.canvas
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3]


@dataclass(frozen=True)
class Place:
    """Where on the canvas a view lies, in pixels."""

    axes: Axes
    view: View
    left: int
    top: int
    width: int
    height: int

    def image(self, values: np.ndarray, **style: Any) -> None:
        """Show an array (rows, columns) whose first row is the lowest."""
        extent = (self.left, self.left + self.width, self.top + self.height, self.top)
        self.axes.imshow(values, extent=extent, origin="lower", aspect="auto", **style)

    def points(self, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Voxel positions of the slice as pixels, (..., 2)."""
        count = self.view.fixed.shape
        x = self.left + (np.asarray(columns) + 0.5) / count[1] * self.width
        y = self.top + self.height - (np.asarray(rows) + 0.5) / count[0] * self.height
        return np.stack([x, y], axis=-1)

    def lines(self, lines: list[np.ndarray], **style: Any) -> None:
        """Lines in pixels, cut off at the edge of the view."""
        from matplotlib.collections import LineCollection
        from matplotlib.transforms import Bbox, TransformedBbox

        drawn = self.axes.add_collection(LineCollection(lines, **style))
        box = Bbox.from_bounds(self.left, self.top, self.width, self.height)
        drawn.set_clip_box(TransformedBbox(box, self.axes.transData))


def palette_png(pixels: np.ndarray, colours: int) -> bytes:
    """A palette PNG: a third of the size, and no difference that an eye sees."""
    from PIL import Image

    # An octree of few colours loses thin dark lines.
    method = Image.Quantize.MAXCOVERAGE if colours <= LINE_COLOURS else Image.Quantize.FASTOCTREE
    image = Image.fromarray(np.ascontiguousarray(pixels)).quantize(
        colours, method=method, dither=Image.Dither.NONE
    )
    buffer = io.BytesIO()
    image.save(buffer, format="png", compress_level=7)
    return buffer.getvalue()
