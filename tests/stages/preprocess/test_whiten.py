"""Whitening: one resampling, z-scores in [0, 1], background 0, no dark rim."""

from __future__ import annotations

import numpy as np
import pytest

from pmrpipe.base.errors import WorkError
from pmrpipe.images.volume import Grid, Volume
from pmrpipe.stages.preprocess.whiten import whiten, whitened


def test_z_score_clip_and_range():
    values = np.random.default_rng(0).normal(50, 10, (20, 20, 20)).astype(np.float32)
    inside = np.zeros(values.shape, bool)
    inside[2:-2, 2:-2, 2:-2] = True
    white = whitened(values, inside)
    z = (values - values[inside].mean()) / values[inside].std()
    expected = (np.clip(z, -3, 3) + 3) / 6
    np.testing.assert_allclose(white[inside], np.maximum(expected[inside], 1e-3), atol=1e-6)
    assert not white[~inside].any()
    assert white.dtype == np.float32
    assert (white > 0).sum() == inside.sum()


def test_known_affine_brings_the_brain_home(subject, template):
    white = whiten(subject.brain, subject.mask, subject.matrix, template.grid)
    inside = template.data > 0.2
    assert np.corrcoef(white[inside], template.data[inside])[0, 1] > 0.95
    both = 2 * ((white > 0) & (template.data > 0.05)).sum()
    assert both / ((white > 0).sum() + (template.data > 0.05).sum()) > 0.97


def test_rim_is_not_darkened_by_the_background():
    grid = Grid((40, 40, 40), np.diag([4.0, 4, 4, 1]))
    mask = np.zeros(grid.shape, bool)
    mask[8:32, 8:32, 8:32] = True
    ramp = np.indices(grid.shape)[2] * mask + 10.0 * mask
    shifted = np.eye(4)
    shifted[:3, 3] = [1.6, 1.6, 0]  # between the voxels of the native grid
    brain = Volume(ramp.astype(np.float32), grid.affine)
    white = whiten(brain, Volume(mask, grid.affine), shifted, grid)
    planes = np.where(white > 0, white, np.nan)[:, :, 9:31]
    spread = np.nanmax(planes, axis=(0, 1)) - np.nanmin(planes, axis=(0, 1))
    assert spread.max() < 1e-4


def test_brain_outside_the_grid(subject, template):
    away = subject.matrix.copy()
    away[:3, 3] += 500
    with pytest.raises(WorkError, match=r"sub-01: leaves no brain"):
        whiten(subject.brain, subject.mask, away, template.grid, "sub-01")
