"""Scans that nobody can register, by what is wrong with them."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np

SHAPE = (12, 14, 13)
# Voxels so large that few of them make a brain of 0.85 litres.
AFFINE = np.diag([15.0, 15.0, 15.0, 1.0])


def brain() -> np.ndarray:
    data = np.zeros(SHAPE, np.float32)
    data[3:9, 3:10, 3:9] = np.random.default_rng(0).uniform(50, 100, (6, 7, 6))
    return data


def saved(path: Path, data: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    nib.save(nib.Nifti1Image(data, affine), path)
    return path


def truncated(path: Path) -> None:
    saved(path, brain())
    path.write_bytes(path.read_bytes()[:300])


def header_with(path: Path, **fields: object) -> None:
    """A file whose raw header says what nibabel itself would not write."""
    image = nib.Nifti1Image(brain(), AFFINE)
    raw = bytearray(image.to_bytes())
    header = np.frombuffer(raw, nib.Nifti1Header.template_dtype, 1).copy()
    for name, value in fields.items():
        header[name] = value
    raw[: header.nbytes] = header.tobytes()
    path.write_bytes(gzip.compress(bytes(raw)))


def with_value(value: float) -> np.ndarray:
    data = brain()
    data[5, 5, 5] = value
    return data


SINGULAR = {"srow_x": [[1, 0, 0, 0]], "srow_y": [[1, 0, 0, 0]], "srow_z": [[0, 0, 1, 0]]}
CASES: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: None,
    "unreadable": lambda path: path.write_bytes(b"no image"),
    "truncated gzip": truncated,
    "several volumes": lambda path: saved(path, np.stack([brain()] * 2, axis=-1)),
    "all zero": lambda path: saved(path, brain() * 0),
    "constant": lambda path: saved(path, brain() * 0 + 7),
    "NaN": lambda path: saved(path, with_value(np.nan)),
    "infinite": lambda path: saved(path, with_value(np.inf)),
    "singular affine": lambda path: header_with(path, sform_code=1, qform_code=0, **SINGULAR),
    "zero voxel size": lambda path: header_with(path, pixdim=[[1, 0, 1, 1, 1, 1, 1, 1]]),
    "no orientation": lambda path: header_with(path, sform_code=0, qform_code=0),
}
