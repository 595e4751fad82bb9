import numpy as np
import pytest
from scipy.linalg import logm
from scipy.spatial.transform import Rotation

from pmrpipe.images.volume import Grid
from pmrpipe.metrics.deformation import LOG_FLOOR, DeformationStatistics, deformation_statistics
from pmrpipe.metrics.strain import log_stretches
from tests.metrics.test_deformation import FULL, SHAPE, oblique, rough, world

GRIDS = [np.eye(4), np.diag([-2.0, 1, 0.5, 1]), oblique()]
TURN = Rotation.from_rotvec([0.4, -0.3, 0.8]).as_matrix()


def linear(matrix: np.ndarray, affine: np.ndarray = GRIDS[0]) -> DeformationStatistics:
    """Statistics of y = matrix x on a grid."""
    grid = Grid(SHAPE, affine)
    return deformation_statistics(world(grid) @ (matrix - np.eye(3)).T, grid, FULL)


def parts(statistics: DeformationStatistics) -> tuple[float, float, float]:
    return statistics.strain, statistics.strain_volume, statistics.strain_shear


@pytest.mark.parametrize("affine", GRIDS)
@pytest.mark.parametrize("scale", [0.5, 1.3])
def test_a_uniform_scaling_is_volume_alone(affine, scale):
    expected = np.sqrt(3) * abs(np.log(scale))
    assert parts(linear(scale * np.eye(3), affine)) == pytest.approx(
        (expected, expected, 0), abs=2e-3
    )


@pytest.mark.parametrize("affine", GRIDS)
def test_a_simple_shear_has_its_closed_form_and_no_volume(affine):
    amount = 0.6
    matrix = np.eye(3)
    matrix[0, 1] = amount
    # The stretches of a simple shear are exp of plus and minus asinh(amount / 2).
    expected = np.sqrt(2) * np.arcsinh(amount / 2)
    assert parts(linear(matrix, affine)) == pytest.approx((expected, 0, expected), abs=1e-4)


@pytest.mark.parametrize("affine", GRIDS)
def test_a_rotation_has_no_strain(affine):
    assert parts(linear(TURN, affine)) == pytest.approx((0, 0, 0), abs=1e-4)


@pytest.mark.parametrize("affine", GRIDS)
@pytest.mark.parametrize("turned", [np.eye(3), TURN])
def test_stretches_along_oblique_axes_are_found_before_and_after_a_rotation(affine, turned):
    logs = np.array([0.5, -0.2, 0.1])
    axes = Rotation.from_rotvec([1.0, 0.2, -0.5]).as_matrix()
    matrix = turned @ axes @ np.diag(np.exp(logs)) @ axes.T
    volume = abs(logs.sum()) / np.sqrt(3)
    expected = (np.linalg.norm(logs), volume, np.sqrt(logs @ logs - volume**2))
    assert parts(linear(matrix, affine)) == pytest.approx(expected, abs=2e-4)


def gradients(field: np.ndarray, grid: Grid) -> np.ndarray:
    """F at the inner voxels, (N, 3, 3) float64, by the chain rule."""
    along = np.stack([np.gradient(field.astype(float), axis=a) for a in range(3)], axis=-1)
    inner = along[1:-1, 1:-1, 1:-1].reshape(-1, 3, 3)
    return np.eye(3) + inner @ np.linalg.inv(grid.affine[:3, :3])


@pytest.mark.parametrize("affine", GRIDS)
@pytest.mark.parametrize("size", [0.5, 6, 25])
def test_equals_singular_values_in_double_precision_also_where_folded(affine, size):
    grid = Grid(SHAPE, affine)
    field = rough(grid, size)
    logs = np.log(np.linalg.svd(gradients(field, grid), compute_uv=False))
    volume = (logs.sum(axis=1) ** 2).mean() / 3
    strain = (logs**2).sum(axis=1).mean()
    expected = np.sqrt([strain, volume, strain - volume])
    statistics = deformation_statistics(field, grid, FULL)
    assert parts(statistics) == pytest.approx(expected, rel=1e-3)
    assert size < 25 or statistics.folding_percent > 1


def test_equals_the_matrix_logarithm():
    grid = Grid(SHAPE, oblique())
    field = rough(grid, 4)
    some = gradients(field, grid)[::40]
    expected = [np.linalg.norm(logm(one.T @ one)) / 2 for one in some]
    logs = log_stretches(some.transpose(2, 1, 0), LOG_FLOOR)
    np.testing.assert_allclose(np.sqrt(np.square(logs).sum(axis=0)), expected, rtol=1e-6)


def test_a_rotation_of_the_whole_changes_nothing():
    grid = Grid(SHAPE, oblique())
    field = rough(grid, 6)
    turned = (world(grid) + field) @ TURN.T - world(grid)
    first, second = (parts(deformation_statistics(one, grid, FULL)) for one in (field, turned))
    assert first[0] > 0.1
    assert first == pytest.approx(second, rel=1e-3)


def test_a_flat_voxel_counts_with_the_floor():
    flat = np.diag([1.0, 1.0, 0.0])[:, :, None]
    assert [one[0] for one in log_stretches(flat, LOG_FLOOR)] == pytest.approx(
        [0, 0, np.log(LOG_FLOOR)], abs=1e-8
    )
    nothing = log_stretches(0 * flat, LOG_FLOOR)
    assert [one[0] for one in nothing] == pytest.approx([np.log(LOG_FLOOR)] * 3)


def test_only_the_mask_without_the_outermost_planes_counts():
    grid = Grid(SHAPE, np.eye(4))
    field = np.zeros((*SHAPE, 3))
    field[7:, ..., 0] = 0.3 * (np.arange(7, SHAPE[0]) - 7)[:, None, None]
    mask = np.zeros(SHAPE, bool)
    mask[9:] = True
    expected = np.log(1.3)
    assert deformation_statistics(field, grid, mask).strain == pytest.approx(expected, rel=1e-4)
    # Planes 1 to 8 remain: at 7 one of the two neighbours moves, at 8 both.
    rest = np.sqrt((np.log(1.15) ** 2 + np.log(1.3) ** 2) / 8)
    assert deformation_statistics(field, grid, ~mask).strain == pytest.approx(rest, rel=1e-4)
    assert parts(deformation_statistics(None, grid, mask)) == (0, 0, 0)
    assert np.isnan(deformation_statistics(field, grid, 0 * mask).strain)
