"""Brain extraction behind one function.

`deepbet` is the learned model of Fisch et al., Computers in Biology and Medicine 179 (2024), MIT;
its TorchScript weights come in its wheel and are loaded only when their digest is the known one.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from pmrpipe.errors import InputError, WorkError
from pmrpipe.files import sha256
from pmrpipe.volume import Volume, require_same_grid

_WEIGHTS = {
    "bbox_model.pt": "39a7b2b5f799faa1391ea97bfcdc0b9299f20d84f2316a4ff8918dc4685e40aa",
    "model.pt": "de8ee7c69654d0dd3935dc4a5d84571d8ecf4637a6bfc01df399c4c2bc86e0fd",
}


def extract_brain(
    image: Volume,
    method: str = "deepbet",
    mask: Volume | None = None,
    *,
    name: object = "image",
    threads: int = 1,
) -> Volume:
    """Brain mask on the image's own grid.

    Parameters
    ----------
    image : native scan
    method : "deepbet"; "mask", the given mask; "nonzero", for images that hold the brain alone
    name : what messages call the image

    Raises
    ------
    InputError : the mask is missing or lies on another grid
    WorkError : no brain is found, or deepbet's weights are not the known ones
    """
    if method == "mask":
        if mask is None:
            raise InputError(name, "has no mask", "name one, or choose another brain extraction")
        require_same_grid(mask, image, "its mask", name)
        found = mask.data > 0
    elif method == "nonzero":
        found = _solid(image.data > 0)
    elif method == "deepbet":
        found = _deepbet(image, threads)
    else:
        raise InputError(name, f"unknown brain extraction `{method}`", "deepbet, mask or nonzero")
    litres = found.sum() * np.prod(image.spacing) * 1e-6
    if litres < 0.2:
        problem = f"no brain was found by `{method}` ({litres:.2f} litres)"
        raise WorkError(name, problem, "give a mask (overrides.<subject>.mask) or exclude it")
    return Volume(found, image.affine)


def _deepbet(image: Volume, threads: int) -> np.ndarray:
    import nibabel as nib
    import torch

    folder = _deepbet_weights()
    torch.set_num_threads(threads)
    from deepbet.bet import BrainExtraction

    extractor = BrainExtraction(
        no_gpu=True,
        model_path=str(folder / "model.pt"),
        bbox_model_path=str(folder / "bbox_model.pt"),
    )
    # deepbet turns the image to RAS; the mask is turned back to the image's own axes here.
    own = nib.Nifti1Image(image.data, image.affine)
    ras = nib.as_closest_canonical(own)
    try:
        mask = extractor.run_model(np.asarray(ras.dataobj, dtype=np.float32).copy()) > 0.5
        mask = extractor.postprocess(mask) > 0
    except AssertionError as error:
        raise WorkError("deepbet", str(error), "is this a T1w head?") from None
    back = nib.orientations.ornt_transform(
        nib.io_orientation(ras.affine), nib.io_orientation(own.affine)
    )
    return nib.apply_orientation(mask.astype(np.uint8), back) > 0


def _deepbet_weights() -> Path:
    spec = importlib.util.find_spec("deepbet")
    if spec is None or not spec.submodule_search_locations:
        raise WorkError("deepbet", "is not installed", "pip install deepbet, or give brain masks")
    # Where the wheel puts them: beside the package, not inside it.
    folder = Path(spec.submodule_search_locations[0]).parent / "data" / "models"
    for name, digest in _WEIGHTS.items():
        if not (folder / name).exists():
            raise WorkError(folder / name, "is missing", "reinstall deepbet")
        if sha256(folder / name) != digest:
            problem = "is not the known file (SHA-256 differs): TorchScript can run code"
            raise WorkError(folder / name, problem, "install deepbet 1.0.2")
    return folder


def _solid(inside: np.ndarray) -> np.ndarray:
    """Largest component, holes filled."""
    from scipy.ndimage import binary_fill_holes, label

    parts, count = label(inside)
    if count == 0:
        return inside
    largest = np.bincount(parts.ravel())[1:].argmax() + 1
    return binary_fill_holes(parts == largest)
