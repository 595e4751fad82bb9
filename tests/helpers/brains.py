"""Brains of the template, smoothly deformed by known fields, as a result folder holds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from pmrpipe.images.resampling import resample, sample_points
from pmrpipe.images.transforms import write_affine
from pmrpipe.images.volume import Volume, write_volume
from pmrpipe.study.paths import Results
from pmrpipe.study.space import template_brain


def whitened_template(mm: float) -> Volume:
    """The template brain with mean 0.5 and deviation 1/6 inside, background 0."""
    brain = template_brain(mm)
    inside = brain.data > 0.3
    z = (brain.data - brain.data[inside].mean()) / brain.data[inside].std()
    data = np.where(inside, np.clip(0.5 + z / 6, 1e-3, 1), 0).astype(np.float32)
    return Volume(data, brain.affine)


def smooth_field(shape: tuple[int, ...], mm: float, seed: int, size: float = 10.0) -> np.ndarray:
    """A random displacement (X, Y, Z, 3) in mm, smooth over 20 mm, of at most `size` mm."""
    noise = np.random.default_rng(seed).normal(size=(*shape, 3))
    smooth = gaussian_filter(noise, (20 / mm,) * 3 + (0,))
    return (smooth / np.abs(smooth).max() * size).astype(np.float32)


def deformed_cohort(root: Path, count: int, mm: float = 4.0, labelled: bool = True) -> Results:
    """A result folder of `count` preprocessed brains and, beside it, their native labels.

    The native grid is that of the template, so that every affine is the identity.
    """
    results, brain = Results(root, mm), whitened_template(mm)
    labels = np.digitize(brain.data, (0.2, 0.45, 0.6)).astype(np.int16)
    for number in range(1, count + 1):
        key = f"sub-{number:02d}"
        field = smooth_field(brain.shape, mm, number)
        points = sample_points(brain.grid, field=(field, brain.grid))
        image = resample(brain, points)
        write_volume(results.preproc(key), np.where(image > 0.15, image, 0), brain.affine)
        write_affine(results.affine(key), np.eye(4))
        if labelled:
            dseg = resample(Volume(labels, brain.affine), points, "nearest")
            write_volume(native_labels(results, key), dseg, brain.affine)
    return results


def native_labels(results: Results, key: str) -> Path:
    """Where `deformed_cohort` puts a subject's labels."""
    return results.root / "native" / f"{key}_dseg.nii.gz"
