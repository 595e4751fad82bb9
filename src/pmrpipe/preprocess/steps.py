"""The steps on files: read, call the pure function, write with sidecars. Used by the verbs and by
the Nipype interfaces alike, so that both give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pmrpipe.files import write_json
from pmrpipe.template import TEMPLATE_NAME, template_brain
from pmrpipe.transforms import read_affine, write_affine
from pmrpipe.volume import (
    Volume, read_image, read_labels, read_mask, require_same_grid, write_volume,
)  # fmt: skip


def template(out: Path, preproc: Path, *, mm: float) -> None:
    """Write the template brain, and the same whitened."""
    from pmrpipe.preprocess.whiten import whitened

    brain = template_brain(mm)
    white = whitened(brain.data, brain.data > 0.05)
    write_volume(preproc, white, brain.affine)
    write_volume(out, brain.data, brain.affine)


def brain(
    t1w: Path,
    out_mask: Path,
    out_brain: Path,
    *,
    state: str = "head",
    method: str = "deepbet",
    mask: Path | None = None,
    orientation: str | None = None,
    threads: int = 1,
) -> None:
    """Write the brain mask and the brain, on the native grid, background 0."""
    from pmrpipe.preprocess.brain import extract_brain

    image = read_image(t1w, orientation)
    given = read_mask(mask, orientation) if mask is not None else None
    found = extract_brain(image, method, given, name=t1w, threads=threads)
    inside = found.data
    lowest = float(image.data[inside].min())
    # The brain's own values stay above the background's 0.
    data = np.where(inside, image.data - min(lowest, 0.0), 0).astype(np.float32)
    write_volume(out_brain, data, image.affine)
    write_volume(out_mask, inside.astype(np.uint8), image.affine)
    sidecar = {"Type": "Brain", "Sources": [t1w.name], "Method": method, "InputState": state}
    write_json(_sidecar(out_mask), sidecar)


def resample(brain: Path, out: Path, *, mm: float) -> None:
    """Write the brain with isotropic voxels."""
    from pmrpipe.preprocess.resample import to_isotropic

    found = to_isotropic(read_image(brain), mm)
    write_volume(out, found.data, found.affine)


def affine(
    brain_iso: Path,
    template: Path,
    out_mat: Path,
    out_json: Path,
    *,
    subject: str,
    seed: int = 2019,
    threads: int = 1,
) -> None:
    """Write the affine as an ITK file, and its sidecar."""
    from pmrpipe.preprocess.affine import normalise

    found = normalise(
        read_image(brain_iso), read_image(template), subject=subject, seed=seed, threads=threads
    )
    sidecar = {
        "Sources": [brain_iso.name, template.name],
        "Direction": f"maps points of {TEMPLATE_NAME} to points of the T1w scan; with "
        f"antsApplyTransforms it resamples images from T1w to {TEMPLATE_NAME}",
        "Frame": "LPS (ITK)",
        "Units": "mm",
        "Quality": found.quality,
    }
    write_json(out_json, sidecar)
    write_affine(out_mat, found.matrix)


def whiten(brain: Path, mask: Path, xfm: Path, template: Path, out: Path) -> None:
    """Write the whitened brain on the template grid."""
    from pmrpipe.preprocess.whiten import whiten

    grid = read_image(template).grid
    data = whiten(read_image(brain), read_mask(mask), read_affine(xfm), grid, brain)
    write_volume(out, data, grid.affine)


def labels(
    dseg: Path,
    t1w: Path,
    xfm: Path,
    template: Path,
    out: Path,
    *,
    interpolation: str = "nearest",
    orientation: str | None = None,
) -> None:
    """Write the labels on the template grid; InputError unless they lie on the scan's grid."""
    from pmrpipe.preprocess.labels import to_template

    found = read_labels(dseg, orientation)
    scan = read_image(t1w, orientation)
    require_same_grid(found, scan, dseg, t1w)
    grid = read_image(template).grid
    write_volume(out, to_template(found, read_affine(xfm), grid, interpolation), grid.affine)
    write_json(_sidecar(out), {"Sources": [dseg.name], "Interpolation": interpolation})


def pack(
    images: Mapping[str, Path],
    dsegs: Mapping[str, Path],
    out: Path,
    *,
    labels: Sequence[int] = (),
) -> None:
    """Pack preprocessed images and labels of one grid."""
    from pmrpipe.preprocess.pack import pack as write
    from pmrpipe.preprocess.pack import quantised

    first: Volume | None = None
    arrays: dict[str, dict[str, np.ndarray]] = {"image": {}, "dseg": {}}
    for kind, paths, read in (("image", images, read_image), ("dseg", dsegs, read_labels)):
        for key, path in paths.items():
            volume = read(path)
            first = first or volume
            require_same_grid(volume, first, path, "the cohort's grid")
            data = volume.data
            arrays[kind][key] = quantised(data) if kind == "image" else data
    assert first is not None
    write(arrays["image"], arrays["dseg"], first.grid, out, labels)


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name.split(".")[0] + ".json")
