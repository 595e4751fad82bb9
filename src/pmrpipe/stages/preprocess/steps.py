"""The steps on files: read, call the pure function, write with sidecars.

The verbs and the Nipype interfaces both call these, so that both give the same bytes. Everything
is imported in the functions: the workflow digests what each of them runs. Images are written
last, and whole or not at all, so that a file that stands is complete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


def template(out: Path, preproc: Path, *, mm: float) -> None:
    """Write the template brain on the grid of `mm`, and the same whitened like every subject's."""
    from pmrpipe.images.volume import write_volume
    from pmrpipe.stages.preprocess.whiten import whitened
    from pmrpipe.study.sidecar import on_template, write_sidecar
    from pmrpipe.study.space import template_brain, template_file

    brain = template_brain(mm)
    white = whitened(brain.data, brain.data > 0.05)
    for path, data in ((preproc, white), (out, brain.data)):
        write_sidecar(path, [template_file("brain")], **on_template(brain.grid), SkullStripped=True)
        write_volume(path, data, brain.affine)


def brain(
    t1w: Path,
    out_mask: Path,
    out_brain: Path,
    *,
    state: str = "head",
    method: str = "deepbet",
    mask: Path | None = None,
    head_template: Path | None = None,
    brain_template: Path | None = None,
    orientation: str | None = None,
    n4: bool = False,
    threads: int = 1,
) -> None:
    """Write the brain mask and the brain, on the native grid, background 0.

    Parameters
    ----------
    state : "head", or "brain" when the scan holds the brain alone: `nonzero` then stands for
        `deepbet`, which knows heads only
    method : "deepbet", "template", "mask" or "nonzero", see `extract_brain`
    mask : file of an existing mask
    head_template, brain_template : files of a head and its brain, for "template"
    orientation : directions of the voxel axes, for headers that state none
    n4 : correct the brain's intensity bias
    """
    from pmrpipe.images.volume import Volume, read_image, read_mask, write_volume
    from pmrpipe.stages.preprocess.bias import without_bias
    from pmrpipe.stages.preprocess.brain import cut_out, extract_brain
    from pmrpipe.stages.preprocess.template_extraction import read_head_template
    from pmrpipe.study.sidecar import checksums, write_sidecar

    image = read_image(t1w, orientation)
    way = "nonzero" if (state, method) == ("brain", "deepbet") else method
    given = None if mask is None else read_mask(mask, orientation)
    sources, template = [t1w, mask if way == "mask" else None], None
    if way == "template" and head_template is not None and brain_template is not None:
        template = read_head_template(head_template, brain_template)
        sources += [head_template, brain_template]
    found = extract_brain(image, way, given, template=template, name=t1w, threads=threads)
    how = {"Method": way, "InputState": state, **checksums(*sources)}
    write_sidecar(out_mask, sources, Type="Brain", **how)
    write_sidecar(out_brain, sources, SkullStripped=True, BiasCorrected=n4, **how)
    data = cut_out(image, found)
    if n4:
        data = without_bias(Volume(data, image.affine), found)
    write_volume(out_brain, data, image.affine)
    write_volume(out_mask, found.data, image.affine)


def resample(brain: Path, out: Path, *, mm: float) -> None:
    """Write the brain with isotropic voxels of `mm`, in subject space."""
    from pmrpipe.images.volume import read_image, write_volume
    from pmrpipe.stages.preprocess.resample import to_isotropic
    from pmrpipe.study.sidecar import write_sidecar

    found = to_isotropic(read_image(brain, sheared=True), mm)
    write_sidecar(out, [brain], SkullStripped=True, Resolution=f"{mm:g} mm isotropic")
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
    """Write the affine as an ITK file, and its sidecar with direction, frame, units, quality."""
    from pmrpipe.base.files import write_json
    from pmrpipe.images.transforms import write_affine
    from pmrpipe.images.volume import read_image
    from pmrpipe.stages.preprocess.affine import normalise
    from pmrpipe.study.sidecar import DIRECTION

    moving, fixed = read_image(brain_iso), read_image(template)
    found = normalise(moving, fixed, subject=subject, seed=seed, threads=threads)
    content = {
        "Direction": DIRECTION,
        "Frame": "LPS (ITK's world)",
        "Units": "mm",
        "Format": "ITK affine, MATLAB 4",
        "MatrixRAS": [[round(float(value), 9) for value in row] for row in found.matrix],
        "RandomSeed": seed,
        "Threads": threads,
        "Quality": found.quality,
        "Sources": [Path(brain_iso).name, Path(template).name],
    }
    write_json(out_json, content)
    write_affine(out_mat, found.matrix)


def whiten(brain: Path, mask: Path, xfm: Path, template: Path, out: Path) -> None:
    """Write the brain on the template grid, whitened: [0, 1], background 0."""
    from pmrpipe.images.transforms import read_affine
    from pmrpipe.images.volume import (
        read_grid,
        read_image,
        read_mask,
        require_same_grid,
        write_volume,
    )
    from pmrpipe.stages.preprocess.whiten import whiten
    from pmrpipe.study.sidecar import on_template, write_sidecar

    image, inside, grid = read_image(brain), read_mask(mask), read_grid(template)
    require_same_grid(inside, image, mask, brain)
    data = whiten(image, inside, read_affine(xfm), grid, brain)
    scale = "z-score inside the brain, clipped to 3, mapped to [0, 1]"
    write_sidecar(
        out, [brain, mask, xfm], **on_template(grid), SkullStripped=True, Intensities=scale
    )
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
    from pmrpipe.base.errors import InputError
    from pmrpipe.images.transforms import read_affine
    from pmrpipe.images.volume import read_grid, read_labels, require_same_grid, write_volume
    from pmrpipe.stages.preprocess.labels import to_template
    from pmrpipe.study.sidecar import checksums, on_template, write_sidecar

    native = read_labels(dseg, orientation)
    if not native.data.any():
        raise InputError(dseg, "holds no label", "give a label map, or none for this scan")
    require_same_grid(native, read_grid(t1w, orientation), dseg, t1w)
    grid = read_grid(template)
    data = to_template(native, read_affine(xfm), grid, interpolation, dseg)
    how = {"Interpolation": interpolation, **checksums(dseg)}
    write_sidecar(out, [dseg, xfm], **on_template(grid), **how)
    write_volume(out, data, grid.affine)


def pack(
    images: Mapping[str, Path],
    dsegs: Mapping[str, Path],
    out: Path,
    *,
    labels: Sequence[int] = (),
) -> None:
    """Pack preprocessed images and label maps of one grid, one after the other."""
    from functools import partial

    from pmrpipe.base.errors import InputError
    from pmrpipe.images.volume import read_grid, read_image, read_labels, require_same_grid
    from pmrpipe.study.pack import pack as write

    if not images:
        raise InputError(out, "nothing to pack", "name at least one scan")
    first = next(iter(images.values()))
    grid = read_grid(first)
    for path in (*images.values(), *dsegs.values()):
        require_same_grid(read_grid(path), grid, path, first)
    write(
        {key: partial(_data, read_image, path) for key, path in images.items()},
        {key: partial(_data, read_labels, path) for key, path in dsegs.items()},
        grid,
        out,
        labels,
    )


def _data(read, path):  # type: ignore[no-untyped-def]
    return read(path).data
