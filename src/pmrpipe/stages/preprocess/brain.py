"""Brain extraction behind one function.

`deepbet` is the learned model of Fisch et al., Computers in Biology and Medicine 179 (2024), MIT;
its TorchScript weights come in its wheel and are loaded only when their digest is the known one.
`template` is registration of a head template, see `template_extraction`.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, get_args

import numpy as np

from pmrpipe.base.errors import InputError, WorkError
from pmrpipe.base.files import sha256
from pmrpipe.images.extremes import tamed_brain, tamed_head
from pmrpipe.images.lesion import filled, read_lesion, require_in_brain
from pmrpipe.images.resampling import resample, sample_points
from pmrpipe.images.transforms import read_affine
from pmrpipe.images.volume import Volume, read_image, read_mask, require_same_grid, write_volume
from pmrpipe.stages.preprocess.bias import without_bias
from pmrpipe.stages.preprocess.template_extraction import (
    HeadTemplate,
    probability_by_template,
    read_head_template,
)
from pmrpipe.study.options.preprocessing import Extraction, Extractor
from pmrpipe.study.sidecar import checksums, write_sidecar

# Of deepbet 1.0.2. TorchScript runs code when it is loaded, so nothing else is.
WEIGHTS = {
    "bbox_model.pt": "39a7b2b5f799faa1391ea97bfcdc0b9299f20d84f2316a4ff8918dc4685e40aa",
    "model.pt": "de8ee7c69654d0dd3935dc4a5d84571d8ecf4637a6bfc01df399c4c2bc86e0fd",
}
_LITRES = (0.2, 3.0)
# Values below 0 around a brain, as a part of its largest, that interpolation leaves.
_RINGING = 0.1
_NO_BRAIN_ALONE = "set input_state: head, or give a mask"
_REMEDY = "give a mask (overrides.<subject>.mask) or exclude it"


def run(t1w: Path, out_mask: Path, out_brain: Path, options: Extraction) -> None:
    """Write the brain mask and the brain, on the native grid, background 0; the mask last.

    A scan that holds the brain alone is never given to `deepbet`, which knows heads only:
    `nonzero` stands for it then.
    """
    image = read_image(t1w, options.orientation)
    way = "nonzero" if (options.state, options.method) == ("brain", "deepbet") else options.method
    existing: Volume | None
    if way == "session":
        existing = _of_session(image, options, t1w)
    else:
        existing = None if options.mask is None else read_mask(options.mask, options.orientation)
    template: HeadTemplate | None = None
    sources: list[Path | None] = [t1w, options.mask if way in ("mask", "session") else None]
    head, known = options.head_template, options.brain_template
    if way == "template" and head is not None and known is not None:
        template = read_head_template(head, known)
        sources += [head, known]
    lesion = None
    if options.lesion is not None:
        lesion = read_lesion(options.lesion, image, t1w, options.orientation)
        sources.append(options.lesion)
    seen = image if lesion is None else Volume(filled(image, lesion.data), image.affine)
    mask = extract_brain(seen, way, existing, template=template, name=t1w, threads=options.threads)
    if lesion is not None and options.lesion is not None:
        require_in_brain(lesion, mask, options.lesion)
        mask = Volume(mask.data | lesion.data, mask.affine)
    how = {"Method": way, "InputState": options.state, **checksums(*sources)}
    write_sidecar(out_mask, sources, Type="Brain", **how)
    write_sidecar(out_brain, sources, SkullStripped=True, BiasCorrected=options.n4, **how)
    data = cut_out(image, mask)
    if options.n4:
        data = without_bias(Volume(data, image.affine), mask)
    write_volume(out_brain, data, image.affine)
    write_volume(out_mask, mask.data, image.affine)


def extract_brain(
    image: Volume,
    method: str = "deepbet",
    mask: Volume | None = None,
    *,
    template: HeadTemplate | None = None,
    name: object = "image",
    threads: int = 1,
) -> Volume:
    """Brain mask, bool, on the image's own grid.

    Parameters
    ----------
    image : scan in any orientation
    method : "deepbet" or "template" for whole heads; "mask" and "session" take the given mask;
        "nonzero", for images that hold the brain alone: the largest component of what is not
        background, its holes filled
    mask : the given mask, on the grid of the image
    template : a head and its brain, for "template"
    name : what messages call the image
    threads : of the learned model; its result does not depend on the number of cores

    Raises
    ------
    InputError : the mask or the template is missing; the mask lies on another grid; the image holds
        more than a brain
    WorkError : no brain is found, or deepbet's weights are missing or not the known ones
    """
    if method in ("mask", "session"):
        inside = _existing(image, mask, name)
    elif method == "nonzero":
        inside = _not_background(image, name)
    elif method == "deepbet":
        inside = _deepbet(_tamed(image), name, threads)
    elif method == "template":
        inside = _by_template(_tamed(image), template, name)
    else:
        known = " or ".join(get_args(Extractor))
        raise InputError(name, f"unknown brain extraction {method}", known)
    least = 0.0 if method == "session" else _LITRES[0]
    litres = float(inside.sum() * np.prod(image.spacing) * 1e-6)
    if not (least <= litres <= _LITRES[1] and inside.any()):
        problem = f"brain extraction by {method} found {litres:.2f} litres, which is no brain"
        raise WorkError(name, problem, _REMEDY)
    return Volume(inside, image.affine)


def _tamed(image: Volume) -> Volume:
    return Volume(tamed_head(image.data), image.affine)


def cut_out(image: Volume, mask: Volume) -> np.ndarray:
    """The image inside the mask, 0 outside, float32 (X, Y, Z).

    Extremes that no tissue has are limited (see `images.extremes`). Where a scan has negative
    values its brain is shifted to start at 0.
    """
    data = tamed_brain(image.data, mask.data)
    lowest = min(float(data[mask.data].min()), 0.0)
    return np.where(mask.data, data - np.float32(lowest), np.float32(0))


def _existing(image: Volume, mask: Volume | None, name: object) -> np.ndarray:
    if mask is None:
        raise InputError(name, "has no mask", "name one, or choose another brain extraction")
    require_same_grid(mask, image, f"mask of {name}", "its T1w")
    return mask.data > 0


def _of_session(image: Volume, options: Extraction, name: object) -> Volume:
    """The mask of the session's T1w on the grid of another scan of the session, bool."""
    if options.mask is None or options.rigid is None:
        raise InputError(name, "has no T1w to take a mask from", "give --mask and --rigid")
    mask = read_mask(options.mask)
    share = Volume(np.asarray(mask.data > 0, np.float32), mask.affine)
    back = np.linalg.inv(read_affine(options.rigid))
    inside = resample(share, sample_points(image.grid, back)) > 0.5
    return Volume(inside, image.affine)


def _by_template(image: Volume, template: HeadTemplate | None, name: object) -> np.ndarray:
    if template is None:
        raise InputError(
            name, "has no head template", "name its head and its brain (head_template)"
        )
    return solid(probability_by_template(image, template, name=name) > 0.5)


def _not_background(image: Volume, name: object) -> np.ndarray:
    """The brain of an image that holds nothing else, whatever the value of its background.

    Beside values below 0 that are as large as the brain's (a z-score), those of a few percent are
    what interpolation leaves around a brain, and are background too.
    """
    data, background = image.data, _background(image.data)
    if background is None:
        problem = "its border is not of one value, so it is no extracted brain"
        raise InputError(name, problem, _NO_BRAIN_ALONE)
    inside = data != background
    lowest = float(data.min())
    if background == 0 and lowest < 0 and -lowest < _RINGING * float(data.max()):
        inside = data > 0
    if inside.mean() > 0.9 or not inside.any():
        problem = f"{inside.mean():.0%} of its voxels are not background, so it is no brain alone"
        raise InputError(name, problem, _NO_BRAIN_ALONE)
    return solid(inside)


def _background(data: np.ndarray) -> float | None:
    """The value that at least half of the outermost voxels have, None when there is none."""
    border = np.ones(data.shape, bool)
    border[1:-1, 1:-1, 1:-1] = False
    values, counts = np.unique(data[border], return_counts=True)
    most = int(counts.argmax())
    return float(values[most]) if 2 * counts[most] >= border.sum() else None


def solid(inside: np.ndarray) -> np.ndarray:
    """The largest component (neighbours share a face) of a mask (X, Y, Z), its holes filled."""
    from scipy.ndimage import find_objects, label

    parts, count = label(inside)
    if count == 0:
        return np.zeros_like(inside)
    largest = int(np.bincount(parts.ravel())[1:].argmax()) + 1
    box = find_objects(parts, max_label=largest)[-1]
    # What is not joined to the outside (a rim of one voxel) is a hole.
    outside, _ = label(np.pad(parts[box] != largest, 1, constant_values=True))
    out = np.zeros(inside.shape, bool)
    out[box] = (outside != outside[0, 0, 0])[1:-1, 1:-1, 1:-1]
    return out


def _deepbet(image: Volume, name: object, threads: int) -> np.ndarray:
    """deepbet's own pipeline; it turns the image to RAS and the mask back to the image's axes."""
    import nibabel as nib
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        _, mask, _ = _extractor().run(nib.Nifti1Image(image.data, image.affine))
    except (AssertionError, ValueError) as error:  # how deepbet says that there is no foreground
        raise WorkError(name, f"deepbet found no brain ({error})", _REMEDY) from None
    finally:
        torch.set_num_threads(before)
    return np.ascontiguousarray(np.asarray(mask.dataobj) > 0)


def _extractor() -> Any:
    folder = deepbet_weights()
    from deepbet.bet import BrainExtraction

    return BrainExtraction(
        no_gpu=True,
        model_path=str(folder / "model.pt"),
        bbox_model_path=str(folder / "bbox_model.pt"),
    )


def deepbet_weights() -> Path:
    """Folder of deepbet's weights, each checked against its known SHA-256.

    Raises
    ------
    WorkError : not installed, missing, or not the known files
    """
    package = importlib.util.find_spec("deepbet")
    if package is None or not package.submodule_search_locations:
        raise WorkError("deepbet", "is not installed", "pip install deepbet, or give brain masks")
    # Where the wheel puts them: beside the package, not inside it.
    folder = Path(package.submodule_search_locations[0]).parent / "data" / "models"
    for name, digest in WEIGHTS.items():
        if not (folder / name).is_file():
            raise WorkError(folder / name, "is missing", "reinstall deepbet")
        if sha256(folder / name) != digest:
            problem = "is not the known file (SHA-256 differs) and is not loaded"
            raise WorkError(folder / name, problem, "install deepbet 1.0.2")
    return folder
