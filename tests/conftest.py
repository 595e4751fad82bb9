"""Shared fixtures: where the real data is, and small BIDS datasets."""

from __future__ import annotations

import os
from pathlib import Path

# Before numpy and torch are loaded: workers side by side share the cores, and threads of their own
# would wait for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

# ITK reads this once per process; its sums depend on the number of threads.
os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

REPO = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; skips where it is missing."""
    folder = Path(os.environ.get("PMRPIPE_SHARED", REPO.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip(f"real data is missing: no folder {folder}; set PMRPIPE_SHARED")
    return folder


@pytest.fixture
def brain_dataset(tmp_path: Path) -> Path:
    """A BIDS dataset of five brains at 4 mm: the template, shifted and scaled, with labels."""
    from pmrpipe.images.volume import write_volume
    from pmrpipe.study.space import template_brain

    root = tmp_path / "dataset"
    brain = template_brain(4.0)
    # Without the blurred rim, which would make the brain half as large again.
    data = np.where(brain.data > 0.3, brain.data * 100, 0).astype(np.float32)
    labels = np.where(brain.data > 0.6, 1, 0) + np.where(brain.data > 0.8, 1, 0)
    for number in range(1, 6):
        affine = brain.affine.copy()
        affine[:3, 3] += number
        affine[:3, :3] *= 1 + 0.01 * number
        anat = root / f"sub-{number:02d}" / "anat"
        write_volume(anat / f"sub-{number:02d}_T1w.nii.gz", data, affine)
        write_volume(anat / f"sub-{number:02d}_dseg.nii.gz", labels.astype(np.int16), affine)
    return root
