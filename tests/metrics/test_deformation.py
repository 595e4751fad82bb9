import itertools

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from pmrpipe.images.jacobian import jacobian_determinant
from pmrpipe.images.volume import Grid
from pmrpipe.metrics.deformation import LOG_FLOOR, deformation_statistics

SHAPE = (14, 12, 13)
FULL = np.ones(SHAPE, bool)


def oblique() -> np.ndarray:
    """Rotated, flipped, anisotropic affine."""
    turn, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-0.9, 1.2, 2.0])
    affine[:3, 3] = (10, -20, 5)
    return affine


def world(grid: Grid) -> np.ndarray:
    index = np.stack(np.indices(grid.shape), axis=-1)
    return index @ grid.affine[:3, :3].T + grid.affine[:3, 3]


def rough(grid: Grid, size: float, seed=0) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((*grid.shape, 3))
    return (gaussian_filter(noise, (1.5, 1.5, 1.5, 0)) * size).astype(np.float32)


@pytest.mark.parametrize("affine", [np.eye(4), np.diag([-2.0, 1, 0.5, 1]), oblique()])
def test_linear_map_has_its_determinant_everywhere(affine):
    grid = Grid(SHAPE, affine)
    matrix = np.array([[1.2, 0.1, 0], [-0.2, 0.9, 0.05], [0.1, 0, 1.1]])
    field = world(grid) @ (matrix - np.eye(3)).T
    expected = np.linalg.det(matrix)
    np.testing.assert_allclose(jacobian_determinant(field, grid), expected, rtol=1e-4)
    statistics = deformation_statistics(field, grid, FULL)
    assert statistics.folding_percent == statistics.ndv_percent == 0
    assert statistics.sdlogj == pytest.approx(0, abs=1e-4)


def test_mirroring_map_folds_everywhere_and_has_its_volume():
    grid = Grid(SHAPE, np.eye(4))
    field = np.zeros((*SHAPE, 3))
    field[..., 0] = -3 * world(grid)[..., 0]  # x to -2 x: det J = -2
    statistics = deformation_statistics(field, grid, FULL)
    assert statistics.folding_percent == 100
    assert statistics.ndv_percent == pytest.approx(200, rel=1e-5)


def test_known_fold_counts_its_voxels():
    grid = Grid(SHAPE, np.eye(4))
    field = np.zeros((*SHAPE, 3))
    field[6, :, :, 0], field[8, :, :, 0] = 2, -2  # planes 6 and 8 change places: plane 7 folds
    mask = np.zeros(SHAPE, bool)
    mask[5:10, 3:9, 3:9] = True
    statistics = deformation_statistics(field, grid, mask)
    # Central differences in x at planes 5..9: 1+1, 1+0, 1-2, 1+0, 1+1.
    assert statistics.folding_percent == pytest.approx(100 / 5)
    expected = np.std(np.log([2, 1, LOG_FLOOR, 1, 2]))
    assert statistics.sdlogj == pytest.approx(expected, rel=1e-5)
    assert statistics.ndv_percent == pytest.approx(corners(field, mask), rel=1e-5)


def corners(field: np.ndarray, mask: np.ndarray) -> float:
    """Non-diffeomorphic volume by the definition: ten tetrahedra per voxel, one by one."""
    points = np.stack(np.indices(field.shape[:3]), axis=-1) + field
    axes = np.eye(3, dtype=int)
    volume = 0.0
    for voxel in np.argwhere(mask):
        here = points[tuple(voxel)]
        edges = []
        for sides in itertools.product((1, -1), repeat=3):
            steps = [side * axis for side, axis in zip(sides, axes, strict=True)]
            edges.append(
                [
                    side * (points[tuple(voxel + s)] - here)
                    for side, s in zip(sides, steps, strict=True)
                ]
            )
        for sign, order in ((-1, ((0, 1), (0, 2), (1, 2))), (1, ((0, 1), (1, 2), (0, 2)))):
            steps = [sign * (axes[a] + axes[b]) for a, b in order]
            edges.append([points[tuple(voxel + s)] - here for s in steps])
        volume -= sum(min(np.linalg.det(np.array(e)), 0) for e in edges) / 12
    return 100 * volume / mask.sum()


def test_ndv_equals_the_definition_on_a_rough_field():
    grid = Grid((8, 9, 7), np.eye(4))
    field = rough(grid, 12)
    mask = np.zeros(grid.shape, bool)
    mask[1:-1, 2:-1, 1:-2] = True
    statistics = deformation_statistics(field, grid, mask)
    assert statistics.ndv_percent > 1
    assert statistics.ndv_percent == pytest.approx(corners(field, mask), rel=1e-4)


def test_checkerboard_that_central_differences_miss():
    grid = Grid(SHAPE, np.eye(4))
    field = np.zeros((*SHAPE, 3))
    field[..., 0] = 0.7 * (-1.0) ** np.indices(SHAPE)[0]
    statistics = deformation_statistics(field, grid, FULL)
    assert statistics.folding_percent == 0
    assert statistics.ndv_percent > 1


def test_statistics_do_not_depend_on_how_the_grid_is_stored():
    grid = Grid(SHAPE, oblique())
    field = rough(grid, 12)
    flip = np.diag([-1.0, 1, 1, 1])
    flip[0, 3] = SHAPE[0] - 1
    flipped = Grid(SHAPE, grid.affine @ flip)
    mask = np.random.default_rng(0).random(SHAPE) > 0.3
    first = deformation_statistics(field, grid, mask)
    second = deformation_statistics(field[::-1], flipped, mask[::-1])
    assert first.folding_percent > 0
    assert first.folding_percent == second.folding_percent
    assert first.sdlogj == pytest.approx(second.sdlogj, rel=1e-4)


def test_identity_and_empty_mask():
    grid = Grid(SHAPE, np.eye(4))
    statistics = deformation_statistics(None, grid, FULL)
    assert (statistics.folding_percent, statistics.ndv_percent, statistics.sdlogj) == (0, 0, 0)
    nothing = deformation_statistics(rough(grid, 1), grid, np.zeros(SHAPE, bool))
    assert np.isnan(nothing.folding_percent)


def test_field_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="shape"):
        jacobian_determinant(np.zeros((2, 2, 2, 3)), Grid(SHAPE, np.eye(4)))


def test_equals_simpleitk_on_a_rotated_grid():
    sitk = pytest.importorskip("SimpleITK")
    grid = Grid(SHAPE, oblique())
    field = rough(grid, 6)
    # ITK's filter ignores the direction matrix, so it gets the field along the array's axes.
    along_axes = field @ (grid.affine[:3, :3] / grid.spacing)
    image = sitk.GetImageFromArray(along_axes.transpose(2, 1, 0, 3), isVector=True)
    image.SetSpacing(grid.spacing)
    theirs = sitk.GetArrayFromImage(sitk.DisplacementFieldJacobianDeterminant(image))
    mine = jacobian_determinant(field, grid)
    inner = (slice(1, -1),) * 3
    np.testing.assert_allclose(mine[inner], theirs.transpose(2, 1, 0)[inner], atol=1e-4)
