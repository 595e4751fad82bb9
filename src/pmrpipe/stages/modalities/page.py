"""The page of one session's scans: each in turn with the T1w, and in one checkerboard with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pmrpipe.base.files import write_text
from pmrpipe.drawing import html, style
from pmrpipe.drawing.slices import checkered, slices_png
from pmrpipe.drawing.views import views_of
from pmrpipe.images.resampling import resample, sample_points
from pmrpipe.images.volume import Grid, Volume
from pmrpipe.stages.modalities.overlay import Overlay

# Voxels of the pictures, room around the brain, and squares of the checkerboard, mm.
_MM, _ROOM_MM, _SQUARE_MM = 1.0, 14.0, 20.0


def write_page(
    out: Path,
    t1w: str,
    scan: Volume,
    mask: Volume,
    overlays: Sequence[Overlay],
    files: Mapping[str, str],
) -> None:
    """Write a self-contained page.

    Parameters
    ----------
    t1w, scan, mask : name of the T1w, the scan as it came, and its brain mask
    overlays : other scans on the T1w's grid
    files : names of the files beside the page, and what each is
    """
    pictures = _Pictures(scan, mask)
    content = html.render(
        Path(__file__).parent / "page.html",
        title=f"Scans on {t1w}",
        facts=[fact for shown in overlays for fact in _facts(shown)],
        warnings=[f"{o.name} {doubt}" for o in overlays for doubt in o.facts["doubts"]],
        scans=[pictures.of(shown) for shown in overlays],
        files=files,
    )
    write_text(out, content)


def _facts(shown: Overlay) -> list[tuple[str, str]]:
    facts = shown.facts
    moved = f"{facts['rotation_degrees']:.1f}°, {facts['shift_mm']:.1f} mm"
    return [
        (f"{shown.contrast}, mutual information", f"{facts['mutual_information']:.2f}"),
        (f"{shown.contrast}, share of the brain", f"{facts['cover']:.0%}"),
        (f"{shown.contrast}, turned and moved by", moved),
    ]


class _Pictures:
    """What the page shows of each scan, all cut alike."""

    def __init__(self, scan: Volume, mask: Volume) -> None:
        self.grid = _around(mask)
        self.mask = self._here(Volume(mask.data.astype(np.float32), mask.affine)) > 0.5
        self.t1w = self._scaled(scan)

    def of(self, shown: Overlay) -> dict[str, str]:
        """Data URIs: the T1w, the scan, and both in a checkerboard."""
        other = self._scaled(shown.image)
        board = checkered(self.t1w, other, [_SQUARE_MM / mm for mm in self.grid.spacing])
        images = {"t1w": self.t1w, "scan": other, "board": board}
        drawn = {name: style.data_uri(self._png(image), "png") for name, image in images.items()}
        return drawn | {"name": shown.name, "contrast": shown.contrast}

    def _png(self, image: np.ndarray) -> bytes:
        everywhere = np.ones_like(image)
        return slices_png(views_of((image, everywhere, everywhere), self.grid, None), 1.0)[0]

    def _here(self, volume: Volume) -> np.ndarray:
        return resample(volume, sample_points(self.grid), "linear")

    def _scaled(self, volume: Volume) -> np.ndarray:
        """In [0, 1]: a little above the brightest of the brain is white."""
        values = self._here(Volume(np.asarray(volume.data, np.float32), volume.affine))
        inside = values[self.mask & (values != 0)]
        low, high = np.quantile(inside, (0.0, 0.995)) if inside.size else (0.0, 1.0)
        low = min(float(low), 0.0)
        return np.clip((values - low) / max(1.1 * (high - low), 1e-6), 0, 1)


def _around(mask: Volume) -> Grid:
    """A grid along the world's axes around a brain, RAS."""
    corners = np.argwhere(mask.data)
    low, high = corners.min(0), corners.max(0)
    ends = np.array(
        [[(low, high)[bit][axis] for axis, bit in enumerate(bits)] for bits in _CORNERS]
    )
    world = ends @ mask.affine[:3, :3].T + mask.affine[:3, 3]
    start, stop = world.min(0) - _ROOM_MM, world.max(0) + _ROOM_MM
    affine = np.diag([_MM, _MM, _MM, 1.0])
    affine[:3, 3] = start
    x, y, z = (int(n) + 1 for n in np.ceil((stop - start) / _MM))
    return Grid((x, y, z), affine)


_CORNERS = tuple((x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1))
