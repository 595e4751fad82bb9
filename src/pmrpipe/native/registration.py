"""Two scans as they come: preprocessed, registered, brought back to their own grids.

`pmrpipe register` and `pmrpipe.register(moving, fixed)` are `register`.

A point x of the fixed scan goes to the template by the inverse of the fixed scan's affine, then
through the method's field, then by the moving scan's affine into the moving scan:
y = A_m (t + u(t)), t = A_f^-1 x. Both directions are written as one ITK field each, so that no
other file is needed to apply them.
"""

from __future__ import annotations

import inspect
import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pmrpipe.base.device import memory_told
from pmrpipe.base.errors import InputError
from pmrpipe.base.malloc import keep_freed_memory
from pmrpipe.base.outputs import is_one_of, require_folder
from pmrpipe.base.threads import limited_threads
from pmrpipe.images.jacobian import jacobian_determinant
from pmrpipe.images.resampling import (
    Field,
    composite_field,
    resample,
    resample_through,
    sample_points,
)
from pmrpipe.images.volume import Volume, read_grid, read_labels, require_same_grid
from pmrpipe.native.facts import facts_of
from pmrpipe.native.method import Deviation, ReadyMethod, ready_method
from pmrpipe.native.output import require_replaceable, write_result
from pmrpipe.native.prepare import PreparedScan, prepare_and
from pmrpipe.native.request import AnyScan, Request, Say, Scan, make_request
from pmrpipe.native.result import KeptGeodesic, NativeRegistration, OnTemplate
from pmrpipe.stages.cohort.results_folder import require_no_other_dataset
from pmrpipe.study.options.two_scans import TwoScans
from pmrpipe.study.pack import grid_meta

if TYPE_CHECKING:
    from pmrpipe.methods.deformation import Deformation
    from pmrpipe.methods.lesions import Lesions
    from pmrpipe.methods.protocols import Method


def _silent(text: str) -> None:
    """Say nothing."""


def register(
    moving: AnyScan,
    fixed: AnyScan,
    output: str | os.PathLike[str] | None = None,
    *,
    say: Say = _silent,
    **options: Any,
) -> NativeRegistration:
    """Register two scans as they come, and write the result to `output` if it is given.

    The caller's environment and torch's number of threads are afterwards what they were.

    Parameters
    ----------
    moving, fixed : files, or a `Scan` where more is known
    say : is told each line of progress, and each warning
    {options}

    Raises
    ------
    InputError : an option out of its range; a file, mask or label map that is unusable; files
        in `output` that pmrpipe did not write
    WorkError : a step failed
    """
    return run(make_request(moving, fixed, output, options), say)


def _declare(options: type[TwoScans]) -> None:
    """Give `register` the signature and the documentation that the options say."""
    named = inspect.Parameter.KEYWORD_ONLY
    own = list(inspect.signature(register).parameters.values())[:-1]
    fields = options.model_fields.items()
    more = [
        inspect.Parameter(k, named, default=f.default, annotation=f.annotation) for k, f in fields
    ]
    register.__signature__ = inspect.Signature([*own, *more])  # type: ignore[attr-defined]
    lines = "\n    ".join(f"{name} : {field.description}" for name, field in fields)
    register.__doc__ = (register.__doc__ or "").replace("{options}", lines)


_declare(TwoScans)


def run(request: Request, say: Say = _silent) -> NativeRegistration:
    """Do what a request says; errors as `register`."""
    if request.options.device == "cuda":
        request.device()  # before any work; others are never refused
    if request.output is not None:
        require_folder(request.output)
    if request.output is not None and not request.options.overwrite:
        require_no_other_dataset(request.output)
        require_replaceable(request.output, request.inputs)
    keep_freed_memory()
    with ExitStack() as stack:
        result = _registered(request, say, stack)
        for warning in result.facts["warnings"]["registration"]:
            say(f"warning: {warning}")
        if request.output is not None:
            say(f"writing {request.output}")
            write_result(result, request.output)
    return result


def _registered(request: Request, say: Say, stack: ExitStack) -> NativeRegistration:
    """The result; what is left of the work has the request's threads until `stack` is closed."""

    def load() -> ReadyMethod:
        stack.enter_context(limited_threads(request.threads))
        return ready_method(request, say)

    labels = None
    if request.options.labels is not None:
        labels = _labels(request.options.labels, request.moving)
    # Loading torch takes seconds, in which the scans are preprocessed.
    (moving, fixed), ready = prepare_and(load, request, say)
    say(f"registering by {ready.spec.name}")
    result = register_native(moving, fixed, ready, request, labels)
    options = request.options
    result.facts.update(
        ready.facts, mm=options.mm, space=request.space.name, n4=options.n4, threads=request.threads
    )
    return result


def _labels(path: Path, scan: Scan) -> Volume:
    if is_one_of(path, [scan.path]):
        raise InputError(path, "is the scan itself", "give its label map, or none")
    labels = read_labels(path, scan.orientation)
    require_same_grid(labels, read_grid(scan.path, scan.orientation), path, scan.path)
    if not labels.data.any():
        raise InputError(path, "holds no label", "give a label map, or none")
    return labels


def register_native(
    moving: PreparedScan,
    fixed: PreparedScan,
    ready: ReadyMethod,
    request: Request,
    labels: Volume | None = None,
) -> NativeRegistration:
    """Register `moving` to `fixed` and compose both directions between the scans as they came.

    Parameters
    ----------
    labels : label map of the moving scan, on any grid of its space
    """
    import torch

    from pmrpipe.methods.lesions import Lesions, register_around

    grid = fixed.preproc.grid
    device = request.device()
    source, target = (_tensor(scan.preproc.data, device) for scan in (moving, fixed))
    began = time.perf_counter()
    remedy = "give --refine-mm 2, another --method, or --device cpu"
    with torch.no_grad(), memory_told("registration", remedy):
        method, name = _method_for(ready, moving, fixed), ready.spec.name
        lesions = Lesions(*(_tensor(scan.lesion, device) for scan in (moving, fixed)))
        deformation = register_around(method, name, source, target, grid, lesions)
        inverse = deformation.inverse()
    seconds = round(time.perf_counter() - began, 3)
    geodesic = _geodesic(deformation, moving, fixed, ready.spec.name)
    there, again = ((map_.millimetres(), map_.grid) for map_ in (deformation, inverse))
    del deformation, inverse  # at 0.5 mm half a gigabyte each
    brain = resample_through(moving.preproc, grid, there)
    on_template = OnTemplate(moving.preproc.data, fixed.preproc.data, brain, there, grid)
    return _on_scans(
        moving,
        fixed,
        (there, again),
        labels=labels,
        interpolation=request.options.interpolation,
        uncertainty=_uncertainty(ready.deviation, (source, target), lesions, moving, fixed),
        facts=facts_of(moving, fixed, on_template, seconds),
        geodesic=geodesic,
        on_template=on_template,
    )


def _tensor(data: np.ndarray | None, device: str) -> Any:
    """(X, Y, Z) as (1, 1, X, Y, Z) on a device."""
    import torch

    return None if data is None else torch.from_numpy(data)[None, None].to(device)


def _method_for(ready: ReadyMethod, moving: PreparedScan, fixed: PreparedScan) -> Method:
    """The method as it is, or made for two contrasts."""
    from pmrpipe.methods.across import across

    return ready.method if moving.contrast == fixed.contrast else across(ready.method)


def _on_scans(
    moving: PreparedScan,
    fixed: PreparedScan,
    fields: tuple[Field, Field],
    *,
    labels: Volume | None,
    interpolation: Any,
    uncertainty: np.ndarray | None,
    facts: dict[str, Any],
    geodesic: KeptGeodesic | None,
    on_template: OnTemplate,
) -> NativeRegistration:
    """Both fields on the template composed with the affines, and what they carry."""
    there, again = fields
    on_fixed, on_moving = fixed.scan.grid, moving.scan.grid
    forward = composite_field(on_fixed, [np.linalg.inv(fixed.affine), there, moving.affine])
    inverse = composite_field(on_moving, [np.linalg.inv(moving.affine), again, fixed.affine])
    through = on_fixed, (forward, on_fixed)
    warped = resample_through(moving.scan, *through)
    dseg = None if labels is None else resample_through(labels, *through, interpolation)
    return NativeRegistration(
        on_fixed,
        on_moving,
        forward,
        inverse,
        Volume(warped, fixed.scan.affine),
        None if dseg is None else Volume(dseg, fixed.scan.affine),
        jacobian_determinant(forward, on_fixed),
        uncertainty,
        facts,
        geodesic,
        on_template,
        moving.contrast,
    )


def _geodesic(
    deformation: Deformation, moving: PreparedScan, fixed: PreparedScan, method: str
) -> KeptGeodesic | None:
    """What `pmrpipe shoot` needs: the momentum on the template grid, and how the scans lie."""
    from pmrpipe.methods.geodesic import Geodesic
    from pmrpipe.methods.geodesic_file import Momentum

    kept = deformation.parametrisation
    if not isinstance(kept, Geodesic):
        return None
    scans = {
        which: {"affine": scan.affine.tolist(), "grid": grid_meta(scan.scan.grid)}
        for which, scan in (("moving", moving), ("fixed", fixed))
    }
    about = {"method": method, "moving": moving.name, "fixed": fixed.name, "scans": scans}
    return KeptGeodesic(Momentum.of(kept, **about), kept.energies)


def _uncertainty(
    deviation: Deviation | None,
    images: Any,
    lesions: Lesions,
    moving: PreparedScan,
    fixed: PreparedScan,
) -> np.ndarray | None:
    """On the fixed scan's grid, in mm of the moving scan; 0 outside the brain."""
    if deviation is None:
        return None
    inside = np.where(fixed.preproc.data > 0, deviation(images, fixed.preproc.grid, lesions), 0)
    scale = abs(np.linalg.det(moving.affine[:3, :3])) ** (1 / 3)
    points = sample_points(fixed.scan.grid, np.linalg.inv(fixed.affine))
    return scale * resample(Volume(inside, fixed.preproc.affine), points, "linear")
