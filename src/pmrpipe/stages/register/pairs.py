"""Register pairs of preprocessed scans with one method, loaded once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pmrpipe.base.device import memory_told
from pmrpipe.base.malloc import keep_freed_memory
from pmrpipe.images.interpolation import Interpolation
from pmrpipe.images.lesion import lesion_share
from pmrpipe.images.resampling import resample, sample_displacement, sample_points
from pmrpipe.images.transforms import read_affine, read_field, write_field
from pmrpipe.images.volume import Grid, Volume, read_image, read_labels, read_mask, write_volume
from pmrpipe.study.keys import contrast_of
from pmrpipe.study.paths import Results

if TYPE_CHECKING:
    from torch import Tensor

    from pmrpipe.methods.deformation import Deformation
    from pmrpipe.methods.lesions import Lesions
    from pmrpipe.methods.protocols import Method

Pair = tuple[str, str]
# Images of this many scans are kept: the pairs of a job share their scans.
_KEPT = 8


@dataclass(frozen=True)
class NativeLabels:
    """A scan's label map, or lesion mask, as it came.

    orientation : where its header has none
    scan : key of the scan on whose grid it lies, where it is not the moving scan's own
    """

    path: Path
    orientation: str | None = None
    scan: str | None = None


@dataclass(frozen=True)
class PairRegistration:
    """A method on the scans of one result folder.

    Parameters
    ----------
    name : name of the method's result folder
    labels : native label maps by key; scans without one get no warped labels
    interpolation : of the labels, `nearest` or `genericLabel`
    deforms : False for a method that is the identity: no field is written
    lesions : native lesion masks by key: inside, no method's similarity looks
    also : called for each pair once it is written: moving, fixed, images (1, 1, X, Y, Z), grid,
        lesions
    """

    method: Method
    name: str
    results: Results
    labels: dict[str, NativeLabels] = field(default_factory=dict)
    interpolation: Interpolation = "nearest"
    device: str = "cpu"
    deforms: bool = True
    also: Callable[[str, str, tuple[Tensor, Tensor], Grid, Lesions], object] | None = None
    lesions: dict[str, NativeLabels] = field(default_factory=dict)

    def run(self, pairs: Iterable[Pair]) -> Iterator[dict[str, Any]]:
        """Register each pair, write its files, and yield moving, fixed and what was measured.

        `seconds` is the registration alone: images in memory to field in memory;
        `inverse_consistency_mm` is None where the method has no inverse of its own; `deforms` is 0
        where there is no field, else 1.
        """
        keep_freed_memory()
        image = lru_cache(_KEPT)(lambda key: read_image(self.results.preproc(key)))
        for moving, fixed in pairs:
            measured = self._register(moving, fixed, image(moving), image(fixed))
            yield {"moving": moving, "fixed": fixed, **measured}

    def _register(self, moving: str, fixed: str, source: Volume, target: Volume) -> dict[str, Any]:
        import torch

        from pmrpipe.methods.lesions import register_around
        from pmrpipe.spatial.resize import resize_image

        def tensor(volume: Volume) -> torch.Tensor:
            return torch.from_numpy(volume.data)[None, None].to(self.device)

        (x, y), grid = (tensor(source), tensor(target)), target.grid
        began = time.perf_counter()
        remedy = "raise network_mm or refine_mm, or use device: cpu"
        with torch.no_grad(), memory_told(f"{moving} to {fixed}", remedy):
            method, lesions = self._method_for(moving, fixed), self._lesions(moving, fixed, grid)
            deformation = register_around(method, self.name, x, y, grid, lesions)
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()
        seconds = time.perf_counter() - began
        out = self.results.field(self.name, moving, fixed)
        if self.deforms:
            write_field(out, deformation.millimetres(), deformation.grid)
        _write_geodesic(self.results, self.name, moving, fixed, deformation)
        self._warp(moving, fixed, source, grid)
        inside = resize_image(y, deformation.grid.shape)[0, 0] > 0
        error = deformation.inverse_consistency(inside)
        if self.also is not None:
            self.also(moving, fixed, (x, y), grid, lesions)
        return {
            "seconds": round(seconds, 3),
            "inverse_consistency_mm": error,
            "deforms": int(self.deforms),
        }

    def _lesions(self, moving: str, fixed: str, grid: Grid) -> Lesions:
        """What of both scans is lesion, on the template grid."""
        import torch

        from pmrpipe.methods.lesions import Lesions

        def share(key: str) -> Tensor | None:
            if key not in self.lesions:
                return None
            native = self.lesions[key]
            mask = read_mask(native.path, native.orientation)
            data = lesion_share(mask, grid, read_affine(self.results.affine(key)))
            return torch.from_numpy(data)[None, None].to(self.device)

        return Lesions(share(moving), share(fixed))

    def _method_for(self, moving: str, fixed: str) -> Method:
        """The method as it is, or made for two contrasts."""
        if contrast_of(moving) == contrast_of(fixed):
            return self.method
        from pmrpipe.methods.across import across

        return across(self.method)

    def _warp(self, moving: str, fixed: str, source: Volume, grid: Grid) -> None:
        """Warp through the field as written: what is scored is what the user's file gives."""
        path = self.results.field(self.name, moving, fixed)
        # Brought to the fixed grid once, for the image and the labels.
        warp = (sample_displacement(read_field(path), grid), grid) if path.exists() else None
        warped = resample(source, sample_points(grid, field=warp), "linear")
        write_volume(self.results.warped(self.name, moving, fixed), warped, grid.affine)
        if moving in self.labels:
            native = self.labels[moving]
            dseg = read_labels(native.path, native.orientation)
            points = sample_points(
                grid, affine=read_affine(self.results.affine(native.scan or moving)), field=warp
            )
            labels = resample(dseg, points, self.interpolation)
            out = self.results.warped_dseg(self.name, moving, fixed)
            write_volume(out, labels.astype(np.int32), grid.affine)


def _write_geodesic(
    results: Results, name: str, moving: str, fixed: str, deformation: Deformation
) -> None:
    """The initial momentum and the energies of a method that shoots; those of others go."""
    from pmrpipe.methods.geodesic import Geodesic
    from pmrpipe.methods.geodesic_file import Momentum, write_energies, write_momentum

    momentum, energies = (
        path(name, moving, fixed) for path in (results.momentum, results.energies)
    )
    geodesic = deformation.parametrisation
    if not isinstance(geodesic, Geodesic):
        for path in (momentum, energies):
            path.unlink(missing_ok=True)
        return
    about = {"method": name, "moving": moving, "fixed": fixed, "space": results.space.name}
    write_momentum(momentum, Momentum.of(geodesic, **about))
    write_energies(energies, geodesic.energies)
