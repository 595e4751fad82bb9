"""Geometry against closed forms, scipy and SimpleITK."""

import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
import torch

from pmrpipe.spatial import integrate as integration
from pmrpipe.spatial.integrate import compose, integrate, invert
from pmrpipe.spatial.jacobian import jacobian_determinant
from pmrpipe.spatial.resize import crop, pad_to_multiple, resize_displacement, resize_image
from pmrpipe.spatial.warp import identity_grid, warp

ODD = (11, 14, 9)
FLOAT = (torch.device("cpu"), torch.float32)


def random(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def smooth(shape: tuple[int, int, int], size: float, seed: int = 0) -> torch.Tensor:
    noise = random(3, *shape, seed=seed).numpy()
    field = np.stack([scipy.ndimage.gaussian_filter(n, 2.5) for n in noise])
    return torch.from_numpy(field * size / np.abs(field).max())[None].float()


def linear_field(matrix: np.ndarray, shape: tuple[int, int, int]) -> torch.Tensor:
    """u(p) = M (p - centre)."""
    centre = torch.tensor([(n - 1) / 2 for n in shape]).view(1, 3, 1, 1, 1)
    points = identity_grid(shape, *FLOAT) - centre
    return torch.einsum("ij,bjxyz->bixyz", torch.tensor(matrix, dtype=torch.float32), points)


def inner(tensor: torch.Tensor, margin: int) -> torch.Tensor:
    cut = slice(margin, -margin)
    return tensor[..., cut, cut, cut]


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_no_displacement_changes_nothing(mode):
    image = random(2, 3, *ODD)
    assert torch.allclose(warp(image, torch.zeros(2, 3, *ODD), mode), image, atol=1e-5)


@pytest.mark.parametrize("shape", [(8, 9, 10), ODD, (17, 19, 23)])
def test_threads_share_a_volume_and_change_nothing(shape):
    """The last has no pieces of equal size for four threads."""
    threads = torch.get_num_threads()
    image, field = random(1, 3, *shape), 2 * random(1, 3, *shape, seed=1)
    values, slopes = [], []
    try:
        for count in (1, 2, 4):
            torch.set_num_threads(count)
            values.append(warp(image, field))
            leaves = [image.clone().requires_grad_(), field.clone().requires_grad_()]
            slopes.append(torch.autograd.grad(warp(*leaves).square().sum(), leaves))
    finally:
        torch.set_num_threads(threads)
    for count in (1, 2):
        assert torch.equal(values[0], values[count])
        for one, other in zip(slopes[0], slopes[count], strict=True):
            assert torch.allclose(one, other, atol=1e-4)


def test_identity_grid_is_the_index():
    grid = identity_grid(ODD, *FLOAT)
    assert grid.shape == (1, 3, *ODD)
    assert grid[0, :, 3, 5, 7].tolist() == [3, 5, 7]


def test_translation_pulls_back_along_the_named_axis():
    image, shift = random(1, 1, *ODD), torch.zeros(1, 3, *ODD)
    shift[:, 1] = 2
    warped = warp(image, shift)
    assert torch.allclose(warped[:, :, :, :-2], image[:, :, :, 2:], atol=1e-5)
    assert torch.all(warped[:, :, :, -1] == 0)
    border = warp(image, shift, padding="border")
    assert torch.allclose(border[:, :, :, -1], image[:, :, :, -1], atol=1e-5)


@pytest.mark.parametrize(
    ("padding", "scipy_mode"), [("border", "nearest"), ("zeros", "grid-constant")]
)
def test_warp_is_scipys_linear_interpolation(padding, scipy_mode):
    image, field = random(1, 1, *ODD), random(1, 3, *ODD, seed=1) * 2
    points = (identity_grid(ODD, *FLOAT) + field)[0].numpy()
    expected = scipy.ndimage.map_coordinates(image[0, 0].numpy(), points, order=1, mode=scipy_mode)
    warped = warp(image, field, padding=padding)[0, 0].numpy()
    assert np.allclose(warped, expected, atol=1e-4)


def test_warp_is_simpleitks():
    sitk = pytest.importorskip("SimpleITK")
    image, field = random(1, 1, *ODD), smooth(ODD, 2.0)
    # SimpleITK reads arrays in the order z, y, x and vectors x, y, z.
    vectors = sitk.GetImageFromArray(
        field[0].permute(3, 2, 1, 0).double().numpy().copy(), isVector=True
    )
    moving = sitk.GetImageFromArray(image[0, 0].permute(2, 1, 0).numpy().copy())
    transform = sitk.DisplacementFieldTransform(sitk.Cast(vectors, sitk.sitkVectorFloat64))
    expected = sitk.GetArrayFromImage(sitk.Resample(moving, transform, sitk.sitkLinear))
    warped = warp(image, field)[0, 0].permute(2, 1, 0).numpy()
    # ITK stops at the outermost voxel centres, here the value fades over half a voxel.
    assert np.allclose(warped[2:-2, 2:-2, 2:-2], expected[2:-2, 2:-2, 2:-2], atol=1e-4)


def test_labels_keep_their_values():
    labels = torch.randint(0, 4, (1, 1, *ODD), generator=torch.Generator().manual_seed(1)) * 700
    nearest = warp(labels.float(), smooth(ODD, 2.0), "nearest")
    assert set(nearest.unique().tolist()) <= {0, 700, 1400, 2100}


def test_integration_of_a_translation():
    velocity = torch.zeros(1, 3, *ODD)
    velocity[:, 0] = 1.3
    assert torch.allclose(integrate(velocity), velocity, atol=1e-5)


def test_integration_of_a_linear_velocity_is_the_matrix_exponential():
    shape = (25, 24, 27)
    matrix = np.array([[0.05, -0.12, 0.03], [0.10, -0.04, 0.02], [-0.03, 0.06, 0.08]])
    expected = linear_field(scipy.linalg.expm(matrix) - np.eye(3), shape)
    # Beyond the faces the velocity is clamped, which reaches inwards over the way of a particle.
    difference = inner(integrate(linear_field(matrix, shape), 10) - expected, 6)
    assert difference.abs().max() < 0.01


def test_midpoint_steps_need_fewer_squarings():
    velocity = smooth((24, 26, 25), 3.0)
    best = integrate(velocity, 12)
    euler, midpoint = (integrate(velocity, 4, midpoint=way) - best for way in (False, True))
    assert inner(midpoint, 4).abs().max() < 0.2 * inner(euler, 4).abs().max()


def test_integration_of_minus_v_is_the_inverse():
    velocity = smooth((24, 26, 25), 2.0)
    there, back = integrate(velocity), integrate(-velocity)
    assert inner(compose(there, back), 3).abs().max() < 0.05
    assert inner(invert(there) - back, 3).abs().max() < 0.05


def test_composition_of_linear_maps_is_their_product():
    shape, first, second = (
        (21, 20, 19),
        0.1 * random(3, 3).numpy(),
        0.1 * random(3, 3, seed=4).numpy(),
    )
    product = (np.eye(3) + first) @ (np.eye(3) + second) - np.eye(3)
    composed = compose(linear_field(first, shape), linear_field(second, shape))
    assert torch.allclose(inner(composed, 5), inner(linear_field(product, shape), 5), atol=1e-4)


def test_warping_twice_is_warping_by_the_composition():
    shape = (24, 26, 25)
    image = smooth(shape, 1.0, seed=3)[:, :1]
    first, second = smooth(shape, 1.5, seed=1), smooth(shape, 1.5, seed=2)
    twice = warp(warp(image, first), second)
    once = warp(image, compose(first, second))
    assert inner(twice - once, 4).abs().max() < 0.05


def test_inverse_undoes_and_is_undone():
    field = smooth((24, 26, 25), 2.0)
    inverse = invert(field)
    assert inner(compose(field, inverse), 3).abs().max() < 1e-3
    assert inner(compose(inverse, field), 3).abs().max() < 0.1


def test_an_inverse_that_begins_coarsely_is_the_same(monkeypatch):
    field = smooth((32, 36, 34), 2.0)
    whole = invert(field)
    monkeypatch.setattr(integration, "_LEAST_EDGE", 16)
    begun = invert(field)
    assert 0 < inner(begun - whole, 3).abs().max() < 5e-3
    assert inner(compose(field, begun), 3).abs().max() < 5e-3


def test_a_map_that_is_no_contraction_is_inverted_too():
    """It stretches by 2.6, so that undamped iteration diverges."""
    stretch, shape = np.diag([2.6, 0.7, 1.0]), (21, 22, 20)
    inverse = invert(linear_field(stretch - np.eye(3), shape))
    expected = linear_field(np.linalg.inv(stretch) - np.eye(3), shape)
    assert inner(inverse - expected, 5).abs().max() < 1e-3


def test_jacobian_of_a_linear_map_is_its_determinant():
    matrix = 0.2 * random(3, 3).numpy()
    determinant = jacobian_determinant(linear_field(matrix, ODD))
    assert determinant.shape == (1, *ODD)
    assert torch.allclose(
        determinant, torch.full((1, *ODD), float(np.linalg.det(np.eye(3) + matrix))), atol=1e-4
    )


def test_jacobian_sees_a_reflection():
    field = torch.zeros(1, 3, *ODD)
    field[:, 0] = -2 * identity_grid(ODD, *FLOAT)[:, 0]
    assert torch.allclose(jacobian_determinant(field), torch.tensor(-1.0))


def test_a_resized_linear_field_is_the_same_map():
    """u = M (p - centre) at any sampling of one field of view, isotropic zoom."""
    matrix = 0.2 * random(3, 3).numpy()
    larger = resize_displacement(linear_field(matrix, (8, 10, 6)), (24, 30, 18))
    assert torch.allclose(inner(larger, 2), inner(linear_field(matrix, (24, 30, 18)), 2), atol=1e-4)


def test_resizing_scales_each_axis_by_its_own_zoom():
    resized = resize_displacement(torch.ones(1, 3, 8, 10, 6), (16, 10, 3))
    assert resized[0, :, 4, 4, 1].tolist() == [2.0, 1.0, 0.5]


@pytest.mark.parametrize(("shape", "factor"), [((12, 8, 6), 2), ((12, 9, 6), 3)])
def test_shrinking_by_an_integer_is_the_block_mean(shape, factor):
    image = random(1, 2, *shape)
    small = tuple(n // factor for n in shape)
    expected = torch.nn.functional.adaptive_avg_pool3d(image, small)
    assert torch.allclose(resize_image(image, small), expected, atol=1e-6)


def test_shrinking_by_any_ratio_keeps_the_mean_and_growing_interpolates():
    image = random(1, 1, *ODD)
    assert torch.isclose(resize_image(image, (7, 9, 4)).mean(), image.mean(), atol=1e-6)
    larger = resize_image(image, (22, 28, 18))
    expected = torch.nn.functional.interpolate(image, scale_factor=2, mode="trilinear")
    assert torch.allclose(larger, expected)


def test_padding_is_cropped_off_again():
    image = random(1, 2, *ODD)
    padded = pad_to_multiple(image, 8)
    assert padded.shape[2:] == (16, 16, 16)
    assert torch.equal(crop(padded, ODD), image)
    assert padded.abs().sum() == image.abs().sum()


def test_shrinking_by_a_fraction_shifts_nothing():
    """160 voxels to 53 (3 mm of 1 mm): a ramp stays the ramp of the common field of view."""
    ramp = (identity_grid((160, 4, 4), *FLOAT)[:, :1] + 0.5) / 160
    small = resize_image(ramp, (53, 4, 4))[0, 0, :, 1, 1]
    # A tenth of a millimetre: cells are constant inside, so a cut cell weighs a little off.
    assert torch.allclose(small, (torch.arange(53) + 0.5) / 53, atol=0.1 / 160)


def test_gradients():
    image = random(1, 1, 5, 4, 6).double().requires_grad_()
    field = (0.4 * random(1, 3, 5, 4, 6, seed=1)).double().requires_grad_()
    assert torch.autograd.gradcheck(warp, (image, field))
    assert torch.autograd.gradcheck(lambda v: integrate(v, 2), (field,))
    assert torch.autograd.gradcheck(jacobian_determinant, (field,))
