"""Scans of other contrasts of one head, as they come, on the grid of its T1w.

`pmrpipe modalities` and `modalities(t1w, scans, work)`: each is brought there by a rigid transform.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import write_json
from pmrpipe.base.outputs import is_one_of, require_folder, require_replaceable
from pmrpipe.base.threads import limited_threads
from pmrpipe.images.transforms import write_affine
from pmrpipe.images.volume import Volume, read_image, read_mask, write_volume
from pmrpipe.native.alike import require_one
from pmrpipe.native.prepare import preparation, prepare
from pmrpipe.native.request import Request, Say, Scan
from pmrpipe.native.result import generated_by
from pmrpipe.stages.cohort.results_folder import require_no_other_dataset
from pmrpipe.stages.modalities.overlay import Overlay, overlay
from pmrpipe.stages.modalities.page import write_page
from pmrpipe.stages.preprocess.coregister import coregister
from pmrpipe.study.keys import OTHER_CONTRASTS
from pmrpipe.study.options.two_scans import TwoScans

FACTS, PAGE = "modalities.json", "qc.html"
_IMAGE, _RIGID = "space-T1w_{name}.nii.gz", "from-{name}_to-T1w_mode-image_xfm.mat"


def modalities(
    t1w: Path,
    scans: Sequence[Path],
    work: TwoScans,
    output: Path,
    say: Say = lambda text: None,
) -> list[Overlay]:
    """Bring each scan onto the T1w's grid, and write images, transforms and a page to `output`.

    Raises
    ------
    InputError : a scan whose name says no other contrast, or another person, or given twice; an
        unusable scan; files in `output` that pmrpipe did not write
    WorkError : a scan is not of the same head
    """
    names = _names(t1w, scans)
    require_folder(output)
    if not work.overwrite:
        _require_free(output, [t1w, *scans], names)
    images = [read_image(path) for path in scans]  # an unusable one is told before any work
    with tempfile.TemporaryDirectory(prefix="pmrpipe-modalities-") as space:
        work = work.model_copy(update={"cache": work.cache or Path(space)})
        scan = Scan(t1w, "brain" if work.brain_extracted else "head", contrast="T1w")
        request = Request(scan, scan, None, work, flags=None)
        with limited_threads(request.threads):
            place = _prepared(request, say)
            brought = [
                _brought(path, name, image, place, work, say)
                for path, name, image in zip(scans, names, images, strict=True)
            ]
    say(f"writing {output}")
    _write(t1w, place, brought, names, output)
    return [shown for shown, _ in brought]


def _prepared(request: Request, say: Say) -> tuple[Volume, Volume, Volume]:
    """The T1w as it came, its brain and its mask."""
    (first, *_), plan = prepare(request, say), preparation(request.fixed, request)
    assert request.options.cache is not None
    results = plan.results(request.options.cache)
    return first.scan, read_image(results.brain(plan.key)), read_mask(results.mask(plan.key))


def _brought(
    path: Path,
    name: str,
    scan: Volume,
    t1w: tuple[Volume, Volume, Volume],
    work: TwoScans,
    say: Say,
) -> tuple[Overlay, np.ndarray]:
    """One scan on the T1w's grid, and the rigid transform (4, 4), points of the T1w to its own."""
    say(f"{path.name}: rigid registration to the T1w")
    image, brain, mask = t1w
    rigid = coregister(scan, brain, mask, subject=str(path), seed=work.seed).matrix
    shown = overlay(path.name, name.partition("-")[0], scan, image, mask.data > 0, rigid)
    return shown, rigid


def _write(
    t1w: Path,
    place: tuple[Volume, Volume, Volume],
    brought: Sequence[tuple[Overlay, np.ndarray]],
    names: list[str],
    out: Path,
) -> None:
    """All files, each whole or not at all; modalities.json first, so that what a killed run leaves
    is known as pmrpipe's."""
    image, _, mask = place
    facts = {
        name: {"scan": shown.name, "contrast": shown.contrast, **shown.facts}
        for (shown, _), name in zip(brought, names, strict=True)
    }
    about = {"GeneratedBy": generated_by(), "T1w": t1w.name, "scans": facts}
    write_json(out / FACTS, about)
    files = {FACTS: "what was done"}
    for (shown, rigid), name in zip(brought, names, strict=True):
        write_affine(out / _RIGID.format(name=name), rigid)
        write_volume(out / _IMAGE.format(name=name), shown.image.data, image.affine, np.float32)
        files[_IMAGE.format(name=name)] = f"{shown.name} on the T1w's grid"
        files[_RIGID.format(name=name)] = "resamples it there: ITK affine, rigid"
    overlays = [shown for shown, _ in brought]
    write_page(out / PAGE, t1w.name, image, mask, overlays, files)


def _names(t1w: Path, scans: Sequence[Path]) -> list[str]:
    """Of each scan what names of files call it: its contrast, numbered where it comes again."""
    if (named := Scan(t1w).weighting) in OTHER_CONTRASTS:
        raise InputError(t1w, f"is a {named} by its name", "give the T1w in front")
    names: list[str] = []
    for number, path in enumerate(scans):
        if is_one_of(path, [t1w, *scans[:number]]):
            raise InputError(path, "is given twice", "give each scan once")
        require_one("person", t1w, path)
        contrast = Scan(path).weighting
        if contrast not in OTHER_CONTRASTS:
            remedy = f"end its name with one of {', '.join(f'_{name}' for name in OTHER_CONTRASTS)}"
            raise InputError(path, "has no other contrast than T1w by its name", remedy)
        again = sum(name.partition("-")[0] == contrast for name in names)
        names.append(f"{contrast}-{again + 1}" if again else contrast)
    return names


def _require_free(folder: Path, inputs: Sequence[Path], names: Sequence[str]) -> None:
    """Raises InputError where a result would take the place of an input, or of others' files."""
    require_no_other_dataset(folder)
    written = [FACTS, PAGE, *(form.format(name=n) for n in names for form in (_IMAGE, _RIGID))]
    there = [folder / name for name in written if os.path.lexists(folder / name)]
    require_replaceable(there, inputs, "modalities", folder / FACTS, "T1w")
