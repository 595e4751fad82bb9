"""A scan against itself, moved, with other noise and another bias, at 2 mm."""

from __future__ import annotations

import numpy as np
import pytest

from pmrpipe.images.resampling import resample, sample_points
from pmrpipe.images.volume import Volume
from pmrpipe.stages.change.halfway import align
from pmrpipe.stages.change.images import common_mask, seen
from pmrpipe.stages.change.symmetric import register_symmetric
from pmrpipe.stages.change.volumes import ratios
from pmrpipe.study.space import template_grid

from ...helpers.rescans import Growth, ball, pose, rescan

pytestmark = pytest.mark.slow
# What an affine to the template misses of each scan.
MISSED = np.diag([1.01, 0.99, 1.005, 1.0]), np.diag([0.995, 1.01, 1.0, 1.0])


def measured(growth: Growth | None, seed: int) -> float:
    """Change of the ball in percent; the second scan is moved, noisy and biased by 15 %."""
    grid = template_grid(2.0)
    scans = (
        rescan(2.0, pose(4, 3, seed), None, 0.01, 0.0, seed),
        rescan(2.0, pose(5, 6, seed + 50), growth, 0.01, 0.15, seed + 50),
    )
    images = (scans[0][0], scans[1][0])
    affines = (scans[0][1] @ MISSED[0], scans[1][1] @ MISSED[1])
    masks = tuple(
        Volume(
            resample(Volume(mask * 1.0, grid.affine), sample_points(grid, own)) > 0.5, grid.affine
        )
        for (_, _, mask), own in zip(scans, MISSED, strict=True)
    )
    space = align(images, affines, masks[0].data | masks[1].data, grid)
    mask = common_mask(masks, affines, space, grid)
    flow = register_symmetric(*seen(images, space, mask, grid), grid, 12, 2.0)
    points = sample_points(grid, np.linalg.inv(scans[0][1]) @ space.first, flow.field(-0.5))
    labels = resample(Volume(ball(grid), grid.affine), points, "nearest")
    return 100 * (ratios(labels.astype(np.int32), flow)[1] - 1)


def test_a_scan_against_itself_has_changed_by_less_than_a_third_of_a_percent() -> None:
    assert abs(measured(None, 2)) < 0.3


def test_a_small_growth_is_measured_within_half_a_percentage_point() -> None:
    assert measured(Growth(1.5), 4) == pytest.approx(1.5, abs=0.5)


def test_five_percent_of_growth_are_measured_within_a_fifth() -> None:
    assert measured(Growth(5), 2) == pytest.approx(5, rel=0.2)
