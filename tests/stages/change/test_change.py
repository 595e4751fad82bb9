"""Volumes, noise and symmetry of the deformation, against simulated truth and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pmrpipe.images.resampling import resample, sample_points
from pmrpipe.stages.change.noise import noise_map, unchanged_pairs
from pmrpipe.stages.change.symmetric import Flow, register_symmetric
from pmrpipe.stages.change.volumes import ratios, rows
from pmrpipe.study.space import template_brain, template_grid

from ...helpers.rescans import Growth, ball, rescan

GRID = template_grid(4.0)


def image(growth: Growth | None = None) -> np.ndarray:
    scan, _, mask = rescan(4.0, growth=growth)
    whole = mask | rescan(4.0)[2]
    inside = scan.data[whole]
    z = np.clip((scan.data - inside.mean()) / inside.std() / 6 + 0.5, 1e-3, 1)
    return np.where(whole, z, 0).astype(np.float32)


def grown(growth: Growth) -> Flow:
    return register_symmetric(image(), image(growth), GRID, 10, 4.0)


def percent(flow: Flow, mask: np.ndarray) -> float:
    return 100 * (ratios(mask.astype(np.int32), flow)[1] - 1)


@pytest.mark.parametrize("truth", [-6.0, 6.0])
def test_growth_and_atrophy_of_a_ball_are_measured_within_a_fifth(truth: float) -> None:
    growth = Growth(truth)
    flow = grown(growth)
    # Half-way, the ball has grown by half.
    radius = growth.radius * (1 + truth / 100) ** (1 / 6)
    assert percent(flow, ball(GRID, radius)) == pytest.approx(truth, rel=0.2)


def test_a_brain_that_shrinks_is_measured_by_what_is_inside() -> None:
    """Both images end at one mask, so that its edge says nothing."""
    brain, truth = template_brain(4.0), -3.0
    mask = brain.data > 0.3
    centre = GRID.affine[:3, :3] @ np.argwhere(mask).mean(0) + GRID.affine[:3, 3]
    stretch = (1 + truth / 100) ** (-1 / 3)
    small = resample(brain, centre + (sample_points(GRID) - centre) * stretch)
    images = (np.where(mask, np.maximum(x, 1e-3), 0) for x in (brain.data, small))
    flow = register_symmetric(*(x.astype(np.float32) for x in images), GRID, 12, 4.0)
    assert percent(flow, mask) == pytest.approx(truth, rel=0.2)


def test_equal_images_have_not_changed() -> None:
    one = image()
    flow = register_symmetric(one, one, GRID, 3, 4.0)
    assert float(flow.velocity.abs().max()) == 0
    assert (flow.log_jacobian == 0).all()


def test_exchanging_the_images_changes_the_sign_and_nothing_else() -> None:
    first, second = image(), image(Growth(4))
    there = register_symmetric(first, second, GRID, 4, 4.0)
    again = register_symmetric(second, first, GRID, 4, 4.0)
    np.testing.assert_allclose(again.velocity, -there.velocity, atol=1e-5)
    np.testing.assert_allclose(again.log_jacobian, -there.log_jacobian, atol=1e-5)
    assert float(there.velocity.abs().max()) > 0.05


def scaling(rate: float) -> Flow:
    """x to exp(rate) x about the middle."""
    axes = [torch.arange(n) - (n - 1) / 2 for n in GRID.shape]
    return Flow(rate * torch.stack(torch.meshgrid(*axes, indexing="ij"))[None], GRID, GRID)


def test_the_volume_of_a_uniform_growth_is_that_of_the_exponential() -> None:
    labels = np.zeros(GRID.shape, np.int32)
    labels[14:26, 18:30, 16:28], labels[20:22, 20:22, 20:22] = 3, 7
    for ratio in ratios(labels, scaling(0.02)).values():
        assert ratio == pytest.approx(np.exp(0.06), rel=1e-3)
    np.testing.assert_allclose(scaling(0.02).log_jacobian[10:-10, 10:-10, 10:-10], 0.06, atol=1e-3)


def test_a_row_says_both_volumes_the_change_and_its_noise() -> None:
    labels = np.zeros(GRID.shape, np.int32)
    labels[14:26, 18:30, 16:28] = 5
    nulls = [scaling(0.001), scaling(-0.001)]
    (row,) = rows(labels, {5: 1000.0}, scaling(0.01), nulls, {5: (5, "five")}, "later")
    assert row["volume_first"] == 1000
    assert row["volume_second"] == pytest.approx(1000 * np.exp(0.03), rel=1e-3)
    assert row["percent"] == pytest.approx(100 * np.expm1(0.03), rel=2e-2)
    assert row["noise_percent"] == pytest.approx(0.3, rel=2e-2)
    (row,) = rows(labels, {5: 1000.0}, scaling(0.01), [], {5: (5, "five")}, "later")
    assert row["noise_percent"] is None


def test_pairs_without_change_have_the_scans_own_noise() -> None:
    clean, draw = image(), np.random.default_rng(3)
    noisy = [
        np.where(clean > 0, np.clip(clean + 0.02 * draw.normal(size=clean.shape), 1e-3, 1), 0)
        for _ in range(2)
    ]
    still = Flow(torch.zeros(1, 3, *GRID.shape), GRID, GRID)
    first, second = (n.astype(np.float32) for n in noisy)
    (pair,) = unchanged_pairs(first, second, still, 1, 0)
    difference = (pair[0] - pair[1])[clean > 0.2]
    assert difference.std() == pytest.approx(0.02 * np.sqrt(2), rel=0.1)
    assert noise_map([]) is None
