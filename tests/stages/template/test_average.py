"""Averages, sharpening, votes and the mean displacement, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pmrpipe.images.volume import Grid
from pmrpipe.spatial.integrate import compose
from pmrpipe.stages.template.average import majority, robust_mean, sharpened, sharpness
from pmrpipe.stages.template.balance import correction, length_mm, to_millimetres, to_voxels


def test_the_trimmed_mean_is_that_of_scipy_where_nothing_is_missing() -> None:
    from scipy.stats import trim_mean

    values = np.random.default_rng(0).normal(size=(9, 50)).astype(np.float32)
    np.testing.assert_allclose(robust_mean(values), trim_mean(values, 0.25), atol=1e-6)


@pytest.mark.parametrize(("kind", "oracle"), [("mean", np.nanmean), ("median", np.nanmedian)])
def test_missing_values_are_left_out(kind: str, oracle: object) -> None:
    values = np.random.default_rng(1).normal(size=(6, 40)).astype(np.float32)
    values[:2, ::3] = np.nan
    np.testing.assert_allclose(robust_mean(values, kind), oracle(values, axis=0), atol=1e-6)


def test_an_outlier_moves_the_mean_and_not_the_robust_ones() -> None:
    values = np.ones((8, 3), np.float32)
    values[0] = 100
    assert (robust_mean(values, "trimmed") == 1).all()
    assert (robust_mean(values, "median") == 1).all()
    assert (robust_mean(values, "mean") > 10).all()


def test_a_voxel_without_any_brain_is_background() -> None:
    for kind in ("trimmed", "median", "mean"):
        assert (robust_mean(np.full((3, 2), np.nan, np.float32), kind) == 0).all()


def test_sharpness_of_a_ramp_is_its_slope_whatever_the_voxels() -> None:
    ramp = np.broadcast_to(np.arange(12.0)[:, None, None] * 0.05, (12, 12, 12))
    grid = Grid(ramp.shape, np.diag([2.0, 3.0, 1.0, 1.0]))
    assert sharpness(ramp, np.ones(ramp.shape, bool), grid) == pytest.approx(0.025)


def test_sharpening_steepens_an_edge_and_leaves_flat_and_ramp() -> None:
    flat = np.full((16, 16, 16), 0.4, np.float32)
    mask = np.zeros(flat.shape, bool)
    mask[3:13, 3:13, 3:13] = True
    np.testing.assert_allclose(sharpened(flat * mask, mask, 1.0)[mask], 0.4, atol=1e-6)
    edge = flat.copy()
    edge[8:] = 0.6
    steep = sharpened(edge, np.ones(mask.shape, bool), 0.5)
    assert steep[8, 8, 8] - steep[7, 8, 8] > 0.25
    assert sharpened(edge, mask, 0) is edge


def test_the_majority_wins_and_the_smaller_label_a_tie() -> None:
    maps = [np.array(rows)[None, None] for rows in ([5, 2, 0, 3], [5, 7, 1, 3], [5, 2, 2, 1])]
    assert majority(maps)[0, 0].tolist() == [5, 2, 0, 3]


def test_the_mean_displacement_is_taken_back_below_a_hundredth_of_a_millimetre() -> None:
    x = torch.linspace(0, np.pi, 24)
    bump = torch.sin(x)[:, None, None] * torch.sin(x)[None, :, None] * torch.sin(x)
    mean = torch.stack([2 * bump, -bump, 0.5 * bump])[None]
    psi = correction(mean, (2.0, 2.0, 2.0))
    assert float(length_mm(compose(mean, psi), (2.0, 2.0, 2.0)).mean()) < 0.005
    assert float(length_mm(mean, (2.0, 2.0, 2.0)).max()) > 4


def test_millimetres_and_voxels_are_inverse_on_an_oblique_grid() -> None:
    affine = np.array([[0, -2, 0, 5], [1.5, 0, 0, 0], [0, 0, 3, 1], [0, 0, 0, 1.0]])
    field = np.random.default_rng(2).normal(size=(4, 5, 6, 3)).astype(np.float32)
    np.testing.assert_allclose(to_millimetres(to_voxels(field, affine), affine), field, atol=1e-5)
