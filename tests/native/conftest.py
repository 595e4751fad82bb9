"""Two brains at 4 mm, and a cache that knows them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pmrpipe.images.volume import write_volume
from pmrpipe.study.space import template_brain


@pytest.fixture(scope="session")
def two_brains(tmp_path_factory) -> tuple[Path, Path]:
    """The template's brain, shifted and scaled in two ways."""
    folder = tmp_path_factory.mktemp("two brains")
    template = template_brain(4.0)
    data = np.where(template.data > 0.3, template.data * 100, 0).astype(np.float32)
    for number, name in ((1, "moving"), (2, "fixed")):
        affine = template.affine.copy()
        affine[:3, 3] += 3 * number
        affine[:3, :3] *= 1 - 0.04 * number
        write_volume(folder / f"{name}.nii.gz", data, affine)
    return folder / "moving.nii.gz", folder / "fixed.nii.gz"


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")
