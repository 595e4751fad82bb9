"""How methods and regions look: told apart without colour, the same in every figure."""

from __future__ import annotations

import base64
import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette, readable with every kind of colour vision; grey is the baseline's.
_BASELINE = "#6b7280"
_PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#111827")
_MARKERS = ("s", "^", "D", "v", "P", "X", "p")
_HATCHES = ("////", "....", "xxxx", "\\\\\\\\", "++", "oo", "**")
_LINES = ((), (5, 1.5), (1.5, 1.5), (6, 1.5, 1.5, 1.5), (8, 3), (3, 3), (1, 1))
# Light colours: contours lie on dark grey images.
REGION_COLOURS = ("#56B4E9", "#F0E442", "#FF6FB5", "#33D17A", "#FF9F1C", "#B8A1FF", "#FFFFFF")
INK, MUTED, RULE = "#1f2937", "#6b7280", "#d1d5db"


@dataclass(frozen=True)
class Look:
    """Colour, marker, hatch and dashes of one method."""

    colour: str
    marker: str
    hatch: str
    dashes: tuple[float, ...]


def looks(names: Sequence[str], plain: Sequence[str] = ()) -> dict[str, Look]:
    """A look for each method; `plain` ones, which do not deform, are grey, others by their order.

    Beyond seven, colours return with another marker, hatch and dashes.
    """
    of_method: dict[str, Look] = {}
    n = 0
    for name in names:
        if name in plain:
            of_method[name] = Look(_BASELINE, "o", "", (1, 2))
            continue
        turn, k = divmod(n, len(_PALETTE))
        other = (k + 3 * turn) % len(_PALETTE)
        of_method[name] = Look(_PALETTE[k], _MARKERS[other], _HATCHES[other], _LINES[other])
        n += 1
    return of_method


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """matplotlib settings of every figure: quiet axes, the same bytes on every run."""
    import matplotlib

    settings: dict[Any, Any] = {
        "svg.hashsalt": "pmrpipe",
        "svg.fonttype": "none",
        "font.family": ["sans-serif"],
        "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica"],
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "axes.axisbelow": True,
        "axes.grid": True,
        "grid.color": "#e5e7eb",
        "grid.linewidth": 0.8,
        "xtick.color": INK,
        "ytick.color": INK,
        "text.color": INK,
        "legend.frameon": False,
        "hatch.linewidth": 0.7,
        "figure.facecolor": "white",
    }
    with matplotlib.rc_context(settings):
        yield


def figure(width: float, height: float) -> Figure:
    """A figure of `width` x `height` inches without pyplot's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    return made


def _settle(made: Figure) -> None:
    """Finds the layout once for all formats, and rounds it.

    The solver of the layout sums in the order of memory addresses: unrounded, the last digits
    of a position differ between runs.
    """
    engine = made.get_layout_engine()
    if engine is None:
        return
    engine.execute(made)
    made.set_layout_engine("none")
    for axes in made.axes:
        left, bottom, width, height = (round(value, 5) for value in axes.get_position().bounds)
        axes.set_position((left, bottom, width, height))


def svg(made: Figure) -> bytes:
    """The figure as SVG without date, so that equal figures have equal bytes."""
    _settle(made)
    buffer = io.BytesIO()
    made.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def png(made: Figure) -> bytes:
    """The figure as PNG at 144 dots per inch, without metadata."""
    _settle(made)
    buffer = io.BytesIO()
    made.savefig(buffer, format="png", dpi=144, metadata={"Software": None})
    return buffer.getvalue()


def data_uri(content: bytes, kind: str) -> str:
    """The content as a data URI; `kind` is png or svg+xml."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
