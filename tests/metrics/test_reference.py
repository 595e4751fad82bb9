"""Distances between two maps, and what is left of them in counts: closed forms."""

import numpy as np
import pytest

from pmrpipe.images.volume import Grid
from pmrpipe.metrics.reference import (
    BINS,
    DIFFERENCE,
    ERROR,
    JACOBIAN,
    PERCENTILES,
    REFERENCE,
    Bins,
    compared_maps,
    error_percentiles,
    percentile_column,
)

GRID = Grid((8, 9, 10), np.diag([-2.0, 2.0, 2.0, 1.0]))
BRAIN = np.ones(GRID.shape, bool)


def scaling(factor: float) -> np.ndarray:
    """The displacement of x -> factor x, RAS mm."""
    index = np.moveaxis(np.indices(GRID.shape), 0, -1).astype(float)
    points = index @ GRID.affine[:3, :3].T
    return ((factor - 1) * points).astype(np.float32)


def test_a_constant_difference_is_every_percentile():
    reference = scaling(1.1)
    values = compared_maps(reference + np.float32([3, 0, -4]), reference, GRID, BRAIN)
    row = error_percentiles(values[ERROR])
    assert list(row) == ["mean_mm", "p0.3_mm", "p5_mm", "p25_mm", "p50_mm", "p75_mm", "p95_mm",
                         "p99.7_mm"]  # fmt: skip
    np.testing.assert_allclose(list(row.values()), 5, atol=1e-5)
    np.testing.assert_allclose(values[DIFFERENCE], 0, atol=1e-5)


def test_a_scaling_has_its_volume_everywhere():
    values = compared_maps(scaling(1.2), scaling(0.9), GRID, BRAIN)
    np.testing.assert_allclose(values[JACOBIAN], 3 * np.log10(1.2), atol=1e-5)
    np.testing.assert_allclose(values[REFERENCE], 3 * np.log10(0.9), atol=1e-5)
    np.testing.assert_allclose(values[DIFFERENCE], 3 * np.log10(1.2 / 0.9), atol=1e-5)


def test_no_map_is_the_identity_and_only_the_brain_counts():
    mask = np.zeros(GRID.shape, bool)
    mask[2, 3, 4] = True
    values = compared_maps(None, scaling(1.5), GRID, mask)
    point = np.abs(np.array([2, 3, 4]) * 2.0)
    assert values[ERROR] == pytest.approx([0.5 * np.linalg.norm(point)])
    assert values[JACOBIAN].tolist() == [0]


def test_a_fold_is_in_the_first_class():
    values = compared_maps(scaling(-1.0), scaling(1.0), GRID, BRAIN)
    counts = BINS[JACOBIAN].counts(values[JACOBIAN])
    assert counts[0] == BRAIN.sum()


def test_counts_lose_no_value_at_the_ends():
    bins = Bins(-1.0, 0.5, 4)
    assert bins.counts(np.array([-9.0, -1.0, -0.51, -0.5, 0.99, 1.0, 9.0])).tolist() == [3, 1, 0, 3]
    assert bins.edge(np.arange(4)).tolist() == [-1.0, -0.5, 0.0, 0.5]


@pytest.mark.parametrize("percentile", PERCENTILES)
def test_percentiles_of_counts_are_those_of_the_values_to_one_width(percentile):
    values = np.random.default_rng(3).gamma(2.0, 0.8, 40_000)
    counts = BINS[ERROR].counts(values)
    assert BINS[ERROR].percentile(counts, percentile) == pytest.approx(
        np.percentile(values, percentile), abs=0.0101
    )


def test_percentiles_of_evenly_spread_values_are_exact():
    bins = Bins(0.0, 1.0, 10)
    counts = np.array([0, 0, 5, 5, 0, 0, 10, 0, 0, 0])
    expected = {0: 2.0, 25: 3.0, 50: 4.0, 75: 6.5, 100: 7.0}
    assert {p: bins.percentile(counts, p) for p in expected} == expected
    assert np.isnan(bins.percentile(0 * counts, 50))


def test_without_a_voxel_there_is_no_distance():
    row = error_percentiles(np.zeros(0))
    assert set(row) == {"mean_mm", *map(percentile_column, PERCENTILES)}
    assert all(np.isnan(value) for value in row.values())
