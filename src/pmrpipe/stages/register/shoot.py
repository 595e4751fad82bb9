"""Follow geodesics that registrations kept: to any time, backwards, scaled, or their mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import write_json
from pmrpipe.base.outputs import require_folder, require_no_input
from pmrpipe.images.resampling import Transform, composite_field
from pmrpipe.images.transforms import write_field
from pmrpipe.images.volume import Grid
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.geodesic_file import ENDING, Momentum, read_momentum, write_momentum
from pmrpipe.study.options.shooting import Shot
from pmrpipe.study.pack import meta_grid
from pmrpipe.study.sidecar import sidecar_path

FORWARD = "from-moving_to-shot_mode-image_xfm.nii.gz"
INVERSE = "from-shot_to-moving_mode-image_xfm.nii.gz"
FACTS = "shoot.json"
_REMEDY = "choose another --output"


def shoot(results: Sequence[Path], out: Path, options: Shot) -> dict[str, Any]:
    """Follow a geodesic, or the mean of several, and write both maps and the momentum to `out`.

    Parameters
    ----------
    results : files of initial momenta, or folders that hold one; with `options.mean` none

    Returns
    -------
    What shoot.json says: time, scale, energy and distance of the path

    Raises
    ------
    InputError : no momentum; momenta of other grids, kernels or moving scans; an output that is an
        input
    """
    import torch

    require_folder(out)
    torch.set_num_threads(options.threads)
    places = [*results, *options.mean]
    momenta = [read_momentum(place) for place in places]
    for place in places:
        inputs = sorted(place.glob(f"*{ENDING}")) if place.is_dir() else [place]
        require_no_input(out / ENDING, inputs, _REMEDY)
    one = momenta[0] if results else mean(momenta, places)
    factor = options.time * options.scale
    with torch.no_grad():
        deformation = one.at(factor)
    _write_fields(out, one, deformation)
    write_momentum(out / ENDING, replace(one, values=one.values * np.float32(factor)))
    facts = {**dict(one.about), "time": options.time, "scale": options.scale} | _path(deformation)
    facts = {key: value for key, value in facts.items() if key != "scans"}
    write_json(out / FACTS, facts | {"of": [place.name for place in places]})
    return facts


def mean(momenta: Sequence[Momentum], places: Sequence[Path]) -> Momentum:
    """The geodesic whose initial momentum is the mean of those of geodesics from one scan.

    Source: Vaillant et al., NeuroImage 23 (2004): statistics in the space of initial momenta. It
    lies on the template grid, the affines left out.

    Raises
    ------
    InputError : another grid, kernel or moving scan than the first's
    """
    first = momenta[0]
    for one, place in zip(momenta, places, strict=True):
        if one.grid != first.grid:
            raise InputError(place, f"lies on another grid than {places[0]}", "shoot it alone")
        if one.kernel != first.kernel:
            raise InputError(place, f"has another kernel than {places[0]}", "shoot it alone")
        if one.about.get("moving") != first.about.get("moving"):
            problem = f"begins at {one.about.get('moving')}, not {first.about.get('moving')}"
            raise InputError(place, problem, "a mean is of geodesics from one scan")
    values = np.stack([one.values for one in momenta]).mean(0, dtype=np.float64)
    about = {"moving": first.about.get("moving"), "fixed": f"mean of {len(momenta)}"}
    steps = max(one.shooting.steps for one in momenta)
    shooting = replace(first.shooting, steps=steps)
    return Momentum(values.astype(np.float32), first.kernel, shooting, first.grid, about)


def _path(deformation: Deformation) -> dict[str, float]:
    """Energy <m, K m> of the path in mm, its root, and where it is least regular."""
    from pmrpipe.methods.geodesic import Geodesic
    from pmrpipe.spatial.kernels import KernelOnGrid

    geodesic = deformation.parametrisation
    assert isinstance(geodesic, Geodesic)
    kernel = KernelOnGrid(geodesic.kernel, geodesic.grid.shape, geodesic.grid.spacing)
    energy = float(kernel.energy(geodesic.momentum))
    lowest = float(deformation.jacobian().min())
    return {"energy": energy, "distance": energy**0.5, "lowest_jacobian": round(lowest, 4)}


def _write_fields(out: Path, momentum: Momentum, deformation: Deformation) -> None:
    """Both directions; of two scans as they came, with their affines, on their own grids."""
    there, back = deformation, deformation.inverse()
    fields = {
        FORWARD: (there.millimetres(), there.grid, "shot", "moving"),
        INVERSE: (back.millimetres(), back.grid, "moving", "shot"),
    }
    scans = momentum.about.get("scans")
    if scans:
        fields = _between_scans(scans, there, back)
    for name, (values, grid, on, to) in fields.items():
        about = {
            "Direction": f"maps points of the {on} image to points of the {to} one; "
            f"antsApplyTransforms resamples images of the {to} one onto the {on} one with it",
            "Frame": "LPS (ITK's world)",
            "Units": "mm",
        }
        write_json(sidecar_path(out / name), about)
        write_field(out / name, values, grid)


def _between_scans(
    scans: dict[str, Any], there: Deformation, back: Deformation
) -> dict[str, tuple[np.ndarray, Grid, str, str]]:
    """The maps composed with the affines of two scans; the shot image is in the fixed one's."""
    moving, fixed = (np.asarray(scans[which]["affine"]) for which in ("moving", "fixed"))
    on_moving, on_fixed = (meta_grid(scans[which]["grid"]) for which in ("moving", "fixed"))
    forward: list[Transform] = [np.linalg.inv(fixed), (there.millimetres(), there.grid), moving]
    inverse: list[Transform] = [np.linalg.inv(moving), (back.millimetres(), back.grid), fixed]
    return {
        FORWARD: (composite_field(on_fixed, forward), on_fixed, "shot", "moving"),
        INVERSE: (composite_field(on_moving, inverse), on_moving, "moving", "shot"),
    }
