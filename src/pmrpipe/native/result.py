"""What registering two scans gives: its files, with their names and captions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pmrpipe.base.files import write_json
from pmrpipe.base.threads import each
from pmrpipe.base.version import VERSION
from pmrpipe.images.resampling import Field
from pmrpipe.images.transforms import write_field
from pmrpipe.images.volume import Grid, Volume, write_volume
from pmrpipe.study.keys import CONTRASTS, T1W
from pmrpipe.study.sidecar import sidecar_path

if TYPE_CHECKING:
    from pmrpipe.methods.geodesic_file import Momentum

FORWARD = "from-moving_to-fixed_mode-image_xfm.nii.gz"
INVERSE = "from-fixed_to-moving_mode-image_xfm.nii.gz"
WARPED = "space-fixed_desc-moving_T1w.nii.gz"  # and of other contrasts: `warped_name`
WARPED_DSEG = "space-fixed_desc-moving_dseg.nii.gz"
JACOBIAN = "space-fixed_desc-jacobian_map.nii.gz"
UNCERTAINTY = "space-fixed_desc-uncertainty_map.nii.gz"
MOMENTUM = "desc-initial_momentum.safetensors"
ENERGIES = "desc-energy.tsv"
FACTS = "register.json"
PAGE = "qc.html"


def warped_name(contrast: str) -> str:
    """Name of the moving scan on the fixed scan's grid."""
    return WARPED.replace(f"_{T1W}.", f"_{contrast}.")


# Every file that can be written but the page and the sidecars of the fields, in the page's order.
CAPTIONS = {
    FORWARD: "resamples images of the moving scan onto the fixed scan; all parts in one ITK "
    "displacement field",
    INVERSE: "the other direction",
    **{warped_name(c): "the moving scan on the fixed scan's grid" for c in CONTRASTS},
    WARPED_DSEG: "the moving scan's labels there",
    JACOBIAN: "Jacobian determinant from fixed to moving, affine included: above 1 where the "
    "moving brain is larger",
    UNCERTAINTY: "standard deviation, mm, of where each point lies in the moving scan",
    MOMENTUM: "initial momentum of the geodesic, for `pmrpipe shoot`",
    ENERGIES: "the energy and its two terms at every iteration",
    FACTS: "what was done, and the numbers above",
}
SIDECARS = tuple(sidecar_path(name).name for name in (FORWARD, INVERSE))
NAMES = (PAGE, *CAPTIONS, *SIDECARS)
# There while a result is being written: what a killed run leaves is known as pmrpipe's.
MARKER = ".pmrpipe-register"


@dataclass(frozen=True)
class OnTemplate:
    """The pair on the template grid, as a picture shows it: brains, and the deformable part."""

    moving: np.ndarray
    fixed: np.ndarray
    warped: np.ndarray
    field: Field
    grid: Grid


@dataclass(frozen=True)
class KeptGeodesic:
    """The geodesic of a method that shoots, and how it was come by.

    energies : level_mm, iteration and the terms of the energy, in order; empty without a descent
    """

    momentum: Momentum
    energies: tuple[dict[str, float], ...]

    def writers(self, folder: Path) -> dict[str, Callable[[], None]]:
        """What writes each of the files."""
        from pmrpipe.methods.geodesic_file import write_energies, write_momentum

        momentum = partial(write_momentum, folder / MOMENTUM, self.momentum)
        energies = partial(write_energies, folder / ENERGIES, self.energies)
        return {MOMENTUM: momentum, **({ENERGIES: energies} if self.energies else {})}


@dataclass(frozen=True)
class NativeRegistration:
    """What registering two scans gives.

    forward : (X, Y, Z, 3) RAS mm on the fixed scan's grid, to points of the moving scan
    inverse : the same on the moving scan's grid, to points of the fixed scan
    warped : the moving scan on the fixed scan's grid
    labels : the moving scan's labels there, or None
    jacobian : (X, Y, Z) determinant of the forward map, its affine part included
    uncertainty : (X, Y, Z) standard deviation of the forward map, mm, or None
    geodesic : its initial momentum and energies, of methods that shoot, or None
    facts : method, seconds, similarity, regularity and warnings
    contrast : of the moving scan
    """

    fixed_grid: Grid
    moving_grid: Grid
    forward: np.ndarray
    inverse: np.ndarray
    warped: Volume
    labels: Volume | None
    jacobian: np.ndarray
    uncertainty: np.ndarray | None
    facts: dict[str, Any]
    geodesic: KeptGeodesic | None
    on_template: OnTemplate = field(repr=False)
    contrast: str = T1W

    def write(self, folder: Path) -> list[Path]:
        """Write everything to `folder`, each file whole or not at all, register.json last.

        Inside `limited_threads` several files are written at once.
        """
        writers = self._writers(folder)
        each(lambda write: write(), writers.values())
        write_json(folder / FACTS, self.facts)
        return [folder / name for name in self.names]

    @property
    def names(self) -> list[str]:
        """Names of the files that are written, without sidecars, in the order of `CAPTIONS`."""
        own = [*self._writers(Path()), FACTS]
        return [name for name in CAPTIONS if name in own]

    def _writers(self, folder: Path) -> dict[str, Callable[[], None]]:
        """What writes each image, the large ones first."""
        fields = {
            FORWARD: (self.forward, self.fixed_grid, "fixed", "moving"),
            INVERSE: (self.inverse, self.moving_grid, "moving", "fixed"),
        }
        images = {
            JACOBIAN: (self.jacobian, np.float32),
            warped_name(self.contrast): (self.warped.data, None),
            WARPED_DSEG: (None if self.labels is None else self.labels.data, None),
            UNCERTAINTY: (self.uncertainty, np.float32),
        }
        affine = self.fixed_grid.affine
        return {
            **{k: partial(self._write_field, folder, k, *v) for k, v in fields.items()},
            **{
                k: partial(write_volume, folder / k, data, affine, dtype)
                for k, (data, dtype) in images.items()
                if data is not None
            },
            **({} if self.geodesic is None else self.geodesic.writers(folder)),
        }

    def _write_field(
        self, folder: Path, name: str, values: np.ndarray, grid: Grid, on: str, to: str
    ) -> None:
        sources = {"Moving": self.facts["moving"], "Fixed": self.facts["fixed"]}
        write_json(sidecar_path(folder / name), _about(on, to) | sources)
        write_field(folder / name, values, grid)


def _about(on: str, to: str) -> dict[str, str]:
    return {
        "Direction": f"maps points of the {on} scan to points of the {to} scan; "
        f"antsApplyTransforms resamples images of the {to} scan onto the {on} scan with it",
        "Frame": "LPS (ITK's world)",
        "Units": "mm",
        "Format": "ITK displacement field (NIfTI, vector intent), affine parts included",
        "Grid": f"that of the {on} scan",
    }


def generated_by() -> dict[str, str]:
    """Entry of register.json by which a result is known as pmrpipe's."""
    return {"Name": "pmrpipe", "Version": VERSION}
