"""Figures of one scan: mask on the native scan, subject and template, intensities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pmrpipe.drawing import style
from pmrpipe.images.resampling import resample, sample_points
from pmrpipe.images.volume import Grid, Volume

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_VIEWS = (("axial", 2), ("coronal", 1), ("sagittal", 0))
_SIDES = {"axial": ("L", "R"), "coronal": ("L", "R"), "sagittal": ("P", "A")}
_SLICES = 5
_WIDTH = 9.0
_MASK_COLOUR, _TEMPLATE_COLOUR = "#D55E00", "#56B4E9"


def upright(volume: Volume, order: str = "linear", mm: float = 2.0) -> Volume:
    """The image on a grid of `mm` along the world's axes that holds all of it."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in volume.shape])).reshape(3, -1)
    world = volume.affine[:3, :3] @ corners + volume.affine[:3, 3:]
    low, high = world.min(1), world.max(1)
    affine = np.diag([mm, mm, mm, 1.0])
    affine[:3, 3] = low
    shape = tuple(int(n) for n in np.ceil((high - low) / mm) + 1)
    grid = Grid(shape, affine)  # type: ignore[arg-type]
    return Volume(resample(volume, sample_points(grid), order), affine)  # type: ignore[arg-type]


def mask_figure(image: Volume, mask: Volume) -> Figure:
    """The scan as it came, in upright slices through the brain, with the mask's outline."""
    shown = upright(image)
    inside = upright(Volume(mask.data.astype(np.uint8), mask.affine), "nearest")
    return _mosaic(shown.data, [(inside.data > 0, _MASK_COLOUR)], inside.data > 0)


def template_figure(data: np.ndarray, template: np.ndarray) -> Figure:
    """A brain on the template grid in [0, 1], with the template's outline and white matter."""
    contours = [(template > 0, _TEMPLATE_COLOUR), (template > _white(template), _TEMPLATE_COLOUR)]
    return _mosaic(data, contours, template > 0, top=1.0)


def _white(template: np.ndarray) -> float:
    """An intensity between the template's grey and white matter."""
    return float(np.quantile(template[template > 0], 0.65))


def _mosaic(
    data: np.ndarray,
    contours: list[tuple[np.ndarray, str]],
    brain: np.ndarray,
    top: float | None = None,
) -> Figure:
    """Three rows of slices spread over the extent of `brain`; voxels are cubes, axes RAS."""
    bright = float(np.quantile(data[brain], 0.995)) if top is None else top
    places = [_places(brain, axis) for _, axis in _VIEWS]
    heights = [data.shape[_plane(axis)[0]] for _, axis in _VIEWS]
    widest = max(data.shape[_plane(axis)[1]] for _, axis in _VIEWS)
    made = style.figure(_WIDTH, _WIDTH / _SLICES * sum(heights) / widest)
    axes = made.subplots(3, _SLICES, gridspec_kw={"height_ratios": heights})
    made.set_facecolor("black")
    layout: Any = made.get_layout_engine()
    layout.set(w_pad=0.01, h_pad=0.01, wspace=0, hspace=0)
    for row, (name, axis) in enumerate(_VIEWS):
        for column, place in enumerate(places[row]):
            _slice(axes[row, column], data, contours, axis, place, bright)
        left, right = _SIDES[name]
        style_ = {"color": "white", "fontsize": 8, "transform": axes[row, 0].transAxes}
        axes[row, 0].text(0.02, 0.02, left, **style_)
        axes[row, 0].text(0.92, 0.02, right, **style_)
    return made


def _plane(axis: int) -> tuple[int, int]:
    """Array axes of the rows and of the columns."""
    columns, rows = (other for other in range(3) if other != axis)
    return rows, columns


def _places(brain: np.ndarray, axis: int) -> list[int]:
    others = tuple(other for other in range(3) if other != axis)
    inside = np.flatnonzero(brain.any(axis=others))
    low, high = int(inside[0]), int(inside[-1])
    return [round(low + (high - low) * (n + 1) / (_SLICES + 1)) for n in range(_SLICES)]


def _slice(
    axes: Any,
    data: np.ndarray,
    contours: list[tuple[np.ndarray, str]],
    axis: int,
    place: int,
    bright: float,
) -> None:
    from matplotlib.collections import LineCollection

    axes.imshow(
        np.take(data, place, axis).T,
        cmap="gray",
        vmin=0,
        vmax=bright,
        origin="lower",
        interpolation="bilinear",
    )
    for region, colour in contours:
        lines = _edges(np.take(region, place, axis).T)
        axes.add_collection(LineCollection(lines, colors=colour, lw=0.9))
    axes.set_axis_off()


def _edges(mask: np.ndarray) -> list[np.ndarray]:
    from contourpy import contour_generator

    edges = contour_generator(z=np.pad(mask.astype(np.float32), 1)).lines(0.5)
    # Every second point: closed lines stay closed, and the file is half as large.
    return [np.concatenate([line[:-1:2], line[-1:]]) - 1 for line in edges]


def histogram_figure(brain: np.ndarray, white: np.ndarray, template: np.ndarray) -> Figure:
    """Intensities inside the brain: as scanned, and whitened beside the template's."""
    made = style.figure(_WIDTH, 2.6)
    left, right = made.subplots(1, 2)
    values = brain[brain > 0]
    left.hist(values, bins=100, range=(0, float(np.quantile(values, 0.999))), color="#64748b")
    left.set(title="As scanned", xlabel="intensity", yticks=[])
    shown = {"density": True, "bins": 100, "range": (0.005, 1)}
    right.hist(white[white > 0], color="#64748b", label="this scan", **shown)
    right.hist(
        template[template > 0],
        histtype="step",
        color="#0072B2",
        lw=1.5,
        label="template",
        **shown,
    )
    right.set(title="Whitened", xlabel="intensity", yticks=[])
    right.legend()
    for axes in (left, right):
        axes.spines["left"].set_visible(False)
    return made
