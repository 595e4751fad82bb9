import numpy as np
import pytest

from pmrpipe.metrics.distance import label_distances, surface_voxels


def cube(start, size=4, shape=(16, 12, 12), label=1) -> np.ndarray:
    volume = np.zeros(shape, np.int32)
    volume[tuple(slice(s, s + size) for s in start)] = label
    return volume


def test_surface_of_a_cube_is_its_shell():
    surface = surface_voxels(cube((2, 2, 2)))
    assert surface.sum() == 4**3 - 2**3


def test_surface_counts_the_image_edge_as_outside():
    full = np.ones((4, 4, 4), int)
    assert surface_voxels(full).sum() == 4**3 - 2**3


def test_labels_that_touch_have_surfaces_between_them():
    volume = cube((2, 2, 2)) + cube((6, 2, 2), label=2)
    assert surface_voxels(volume).sum() == 2 * (4**3 - 2**3)


def test_one_voxel_against_one_voxel_with_anisotropic_spacing():
    fixed, warped = np.zeros((2, 8, 8, 8), int)
    fixed[2, 2, 2] = warped[4, 3, 2] = 1
    distances = label_distances(fixed, warped, (0.5, 2.0, 3.0))
    expected = np.hypot(2 * 0.5, 1 * 2.0)
    assert distances.hd95_mm[0] == pytest.approx(expected)
    assert distances.msd_mm[0] == pytest.approx(expected)


def test_same_label_has_distance_zero():
    volume = cube((2, 2, 2))
    distances = label_distances(volume, volume, (1, 1, 1))
    assert distances.hd95_mm[0] == distances.msd_mm[0] == 0


def test_shifted_slab_is_as_far_as_the_shift():
    fixed, warped = np.zeros((2, 20, 10, 10), int)
    fixed[2] = warped[7] = 1
    distances = label_distances(fixed, warped, (1.5, 1, 1))
    assert distances.hd95_mm[0] == distances.msd_mm[0] == pytest.approx(7.5)


def test_label_in_one_map_only_and_empty_maps():
    volume, empty = cube((2, 2, 2)), np.zeros((16, 12, 12), int)
    distances = label_distances(volume, empty, (1, 1, 1), [1])
    assert np.isnan([distances.hd95_mm[0], distances.msd_mm[0]]).all()
    assert label_distances(empty, empty, (1, 1, 1)).labels.size == 0


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="shape"):
        label_distances(np.zeros((2, 2, 2), int), np.zeros((2, 2, 3), int), (1, 1, 1))


def test_equals_monai_with_anisotropic_voxels():
    torch = pytest.importorskip("torch")
    metrics = pytest.importorskip("monai.metrics")
    rng = np.random.default_rng(3)
    fixed = np.kron(rng.integers(0, 5, (4, 5, 4)), np.ones((5, 5, 5), int))
    warped = np.roll(fixed, (2, 1, 3), axis=(0, 1, 2))
    spacing = (1.0, 0.8, 2.5)
    onehot = [
        torch.from_numpy((volume[None] == np.arange(5)[:, None, None, None])[None])
        for volume in (warped, fixed)
    ]
    hd95 = metrics.compute_hausdorff_distance(*onehot, percentile=95, spacing=spacing)
    msd = metrics.compute_average_surface_distance(*onehot, symmetric=True, spacing=spacing)
    distances = label_distances(fixed, warped, spacing)
    np.testing.assert_allclose(distances.hd95_mm, hd95[0].numpy(), rtol=1e-5)
    np.testing.assert_allclose(distances.msd_mm, msd[0].numpy(), rtol=1e-5)
