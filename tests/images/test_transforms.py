"""Transform files against ANTs and nitransforms, resampling against both."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from pmrpipe.base.errors import InputError
from pmrpipe.images.resampling import resample, sample_displacement, sample_points
from pmrpipe.images.transforms import read_affine, read_field, write_affine, write_field
from pmrpipe.images.volume import Grid, Volume, write_volume

SHAPE = (24, 28, 22)
INTERPOLATOR = {"linear": "linear", "nearest": "nearestNeighbor", "genericLabel": "genericLabel"}
# Fixed grid plain; moving scan as it may come: flipped, permuted, oblique, anisotropic.
ORIENTATIONS = ["RAS", "LAS", "PIR", "LPI"]


def affine_matrix(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    matrix = np.eye(4)
    turn = Rotation.from_euler("xyz", rng.uniform(-10, 10, 3), degrees=True).as_matrix()
    matrix[:3, :3] = turn @ np.diag(rng.uniform(0.9, 1.1, 3))
    matrix[:3, 3] = rng.uniform(-2, 2, 3)
    return matrix


def centred(linear: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = linear
    affine[:3, 3] = -linear @ ((np.asarray(shape) - 1) / 2) + [3, -2, 1]
    return affine


def scan(orientation: str, oblique: bool = True) -> Volume:
    """A smooth random image whose axes run along `orientation`, turned by 17 degrees."""
    from nibabel.orientations import axcodes2ornt

    linear = np.zeros((3, 3))
    for axis, (world, sign) in enumerate(axcodes2ornt(orientation)):
        linear[int(world), axis] = sign * (1.0, 1.1, 1.3)[axis]
    if oblique:
        linear = Rotation.from_euler("zx", [17, 9], degrees=True).as_matrix() @ linear
    data = gaussian_filter(np.random.default_rng(5).normal(size=SHAPE), 1.5)
    data = (data - data.min()) / np.ptp(data)
    return Volume(data.astype(np.float32), centred(linear, SHAPE))


def fixed_grid() -> Grid:
    shape = (26, 24, 20)
    return Grid(shape, centred(np.diag([1.0, 1.2, 1.1]), shape))


def smooth_field(grid: Grid, size: float = 2.0) -> np.ndarray:
    noise = np.random.default_rng(1).normal(size=(*grid.shape, 3))
    field = gaussian_filter(noise, (3, 3, 3, 0))
    return (field / np.abs(field).max() * size).astype(np.float32)


def ants_image(volume: Volume, tmp_path, name: str):
    import ants

    write_volume(tmp_path / f"{name}.nii.gz", volume.data, volume.affine)
    return ants.image_read(str(tmp_path / f"{name}.nii.gz"))


def by_ants(tmp_path, moving: Volume, grid: Grid, transforms: list, interpolation: str):
    import ants

    return ants.apply_transforms(
        ants_image(Volume(np.zeros(grid.shape, np.float32), grid.affine), tmp_path, "fixed"),
        ants_image(moving, tmp_path, "moving"),
        [str(path) for path in transforms],
        interpolator=INTERPOLATOR[interpolation],
    ).numpy()


def labels_of(volume: Volume) -> Volume:
    return Volume((volume.data * 7).astype(np.int32), volume.affine)


def assert_same_labels(ours: np.ndarray, expected: np.ndarray) -> None:
    """Identical but for ties: at most one voxel in a thousand."""
    assert np.mean(ours != np.rint(expected)) <= 1e-3


# -- affine ------------------------------------------------------------------------------------
@pytest.mark.parametrize("suffix", [".mat", ".txt", ".tfm"])
@pytest.mark.parametrize("centre", [None, np.array([10.0, -20, 30])])
def test_affine_round_trip(tmp_path, suffix, centre):
    write_affine(tmp_path / f"a{suffix}", affine_matrix(), centre)
    np.testing.assert_allclose(read_affine(tmp_path / f"a{suffix}"), affine_matrix(), atol=1e-12)


@pytest.mark.parametrize("suffix", [".mat", ".txt"])
def test_ants_reads_our_affine_and_we_read_its(tmp_path, suffix):
    import ants

    path = tmp_path / f"a{suffix}"
    write_affine(path, affine_matrix(), np.array([1.0, 2, 3]))
    theirs = ants.read_transform(str(path))
    point = np.array([4.0, 5, -6])
    lps = np.array(theirs.apply_to_point(tuple(point * [-1, -1, 1]))) * [-1, -1, 1]
    np.testing.assert_allclose(lps, (affine_matrix() @ [*point, 1])[:3], atol=1e-4)
    ants.write_transform(theirs, str(tmp_path / "b.mat"))
    np.testing.assert_allclose(read_affine(tmp_path / "b.mat"), affine_matrix(), atol=1e-6)


def test_simpleitk_reads_our_affine(tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    for suffix in (".mat", ".txt"):
        write_affine(tmp_path / f"a{suffix}", affine_matrix())
        ours = np.array(
            sitk.ReadTransform(str(tmp_path / f"a{suffix}")).TransformPoint((-4, -5, -6))
        )
        expected = (affine_matrix() @ [4, 5, -6, 1])[:3] * [-1, -1, 1]
        np.testing.assert_allclose(ours, expected, atol=1e-9)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_affine_as_ants_applies_it(tmp_path, orientation):
    moving, grid = scan(orientation), fixed_grid()
    write_affine(tmp_path / "a.mat", affine_matrix())
    points = sample_points(grid, affine_matrix())
    ours = resample(moving, points)
    theirs = by_ants(tmp_path, moving, grid, [tmp_path / "a.mat"], "linear")
    assert np.abs(ours - theirs).max() < 1e-3
    for interpolation in ("nearest", "genericLabel"):
        labels = labels_of(moving)
        resampled = resample(labels, points, interpolation)
        assert resampled.dtype == np.int32
        expected = by_ants(tmp_path, labels, grid, [tmp_path / "a.mat"], interpolation)
        assert_same_labels(resampled, expected)


@pytest.mark.parametrize("orientation", ["RAS", "PIR"])
def test_affine_as_nitransforms_applies_it(tmp_path, orientation):
    import nibabel as nib
    import nitransforms as nt

    moving, grid = scan(orientation), fixed_grid()
    write_affine(tmp_path / "a.txt", affine_matrix())
    xfm = nt.linear.load(tmp_path / "a.txt", fmt="itk")
    np.testing.assert_allclose(np.squeeze(xfm.matrix), affine_matrix(), atol=1e-6)
    fixed = nib.Nifti1Image(np.zeros(grid.shape, np.float32), grid.affine)
    image = nib.Nifti1Image(moving.data, moving.affine)
    theirs = np.asarray(nt.resampling.apply(xfm, image, reference=fixed, order=1).dataobj)
    ours = resample(moving, sample_points(grid, affine_matrix()))
    inner = inside(moving, sample_points(grid, affine_matrix()))
    assert np.abs(ours - theirs)[inner].max() < 1e-3


def inside(volume: Volume, points: np.ndarray) -> np.ndarray:
    """Points between voxel centres: beyond, nitransforms fades to zero, ITK does not."""
    inverse = np.linalg.inv(volume.affine)
    index = points @ inverse[:3, :3].T + inverse[:3, 3]
    return np.all((index >= 0) & (index <= np.asarray(volume.shape) - 1), axis=-1)


# -- field -------------------------------------------------------------------------------------
def test_field_round_trip(tmp_path):
    grid = Grid(fixed_grid().shape, scan("PIR").affine)
    write_field(tmp_path / "f.nii.gz", smooth_field(grid), grid)
    field, own = read_field(tmp_path / "f.nii.gz")
    np.testing.assert_allclose(field, smooth_field(grid), rtol=0, atol=1 / 2048)
    assert own == grid


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("oblique_field", [False, True])
def test_field_then_affine_as_ants_applies_them(tmp_path, orientation, oblique_field):
    moving, grid = scan(orientation), fixed_grid()
    own = (
        grid
        if not oblique_field
        else Grid((20, 20, 20), centred(scan("LPS").affine[:3, :3], (20,) * 3))
    )
    field = (smooth_field(own), own)
    write_affine(tmp_path / "a.mat", affine_matrix())
    write_field(tmp_path / "f.nii.gz", *field)
    points = sample_points(grid, affine_matrix(), field)
    # A stack: ANTs takes the fixed points through the first of the list first.
    files = [tmp_path / "f.nii.gz", tmp_path / "a.mat"]
    ours, theirs = resample(moving, points), by_ants(tmp_path, moving, grid, files, "linear")
    assert np.mean(np.abs(ours - theirs) > 1e-3) <= 1e-3  # the outer face of the image is a jump
    labels = labels_of(moving)
    expected = by_ants(tmp_path, labels, grid, files, "nearest")
    assert_same_labels(resample(labels, points, "nearest"), expected)


def test_field_as_nitransforms_applies_it(tmp_path):
    import nibabel as nib
    import nitransforms as nt

    moving, grid = scan("LPI"), fixed_grid()
    field = (smooth_field(grid), grid)
    write_field(tmp_path / "f.nii.gz", *field)
    xfm = nt.nonlinear.load(tmp_path / "f.nii.gz", fmt="itk")
    fixed = nib.Nifti1Image(np.zeros(grid.shape, np.float32), grid.affine)
    image = nib.Nifti1Image(moving.data, moving.affine)
    theirs = np.asarray(nt.resampling.apply(xfm, image, reference=fixed, order=1).dataobj)
    points = sample_points(grid, None, field)
    inner = inside(moving, points)
    assert np.abs(resample(moving, points) - theirs)[inner].max() < 1e-3


def test_field_on_a_coarser_grid_is_interpolated_and_zero_outside():
    fine, coarse = fixed_grid(), fixed_grid().rescaled(2)
    linear = np.stack(np.meshgrid(*(np.arange(n) for n in coarse.shape), indexing="ij"), -1)
    points = sample_points(fine, field=(linear.astype(np.float32), coarse))
    plain = sample_points(fine)
    index = (plain - coarse.affine[:3, 3]) @ np.linalg.inv(coarse.affine[:3, :3]).T
    expected = np.clip(index, 0, np.asarray(coarse.shape) - 1)
    np.testing.assert_allclose(points - plain, expected, atol=1e-5)
    far = Grid((2, 2, 2), centred(np.eye(3), (2,) * 3) + np.eye(4)[:, [3]] * 0)
    far.affine[:3, 3] += 500
    np.testing.assert_array_equal(sample_points(far, field=(linear, coarse)), sample_points(far))


# -- resampling --------------------------------------------------------------------------------
def test_points_of_identity_are_voxel_centres():
    grid = Grid((3, 4, 5), scan("PIR").affine)
    points = sample_points(grid)
    for i, j, k in itertools.product(*(range(n) for n in grid.shape)):
        np.testing.assert_allclose(points[i, j, k], (grid.affine @ [i, j, k, 1])[:3])


def test_own_grid_gives_the_image_back():
    volume = scan("LPI")
    points = sample_points(volume.grid)
    np.testing.assert_allclose(resample(volume, points), volume.data, atol=1e-5)
    labels = labels_of(volume)
    for way in ("nearest", "genericLabel"):
        np.testing.assert_array_equal(resample(labels, points, way), labels.data)


def test_outside_is_filled():
    volume = scan("RAS")
    points = sample_points(volume.grid) + 1000
    assert np.all(resample(volume, points, fill=-3) == -3)
    assert np.all(resample(labels_of(volume), points, "nearest", fill=9) == 9)


def test_generic_label_is_one_hot_linear():
    """Each label's indicator interpolated linearly, and the greatest share wins."""
    draw = np.random.default_rng(2)
    data = draw.integers(0, 5, (7, 8, 6)).astype(np.int32)
    points = draw.uniform(0, 5, (500, 1, 1, 3))
    shares = [resample(Volume((data == n).astype(np.float32), np.eye(4)), points) for n in range(5)]
    labels = resample(Volume(data, np.eye(4)), points, "genericLabel")
    np.testing.assert_array_equal(labels, np.argmax(shares, axis=0))


def test_generic_label_takes_the_heaviest():
    data = np.zeros((2, 2, 2), np.int32)
    data[1] = [[4, 5], [6, 7]]  # half the weight is background, the rest divided by four
    points = np.broadcast_to([0.7, 0.5, 0.5], (1, 1, 1, 3))
    assert resample(Volume(data, np.eye(4)), points, "genericLabel") == 0
    data[1] = 4
    assert resample(Volume(data, np.eye(4)), points, "genericLabel") == 4


# -- faults ------------------------------------------------------------------------------------
def test_bad_affine_files(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_affine(tmp_path / "a.mat")
    for name in ("a.mat", "a.txt"):
        (tmp_path / name).write_text("hello")
        with pytest.raises(InputError, match="not a readable ITK transform"):
            read_affine(tmp_path / name)
    write_affine(tmp_path / "a.mat", np.diag([1, 1, 0, 1.0]))
    with pytest.raises(InputError, match="singular"):
        read_affine(tmp_path / "a.mat")


def test_transform_of_another_kind(tmp_path):
    write_affine(tmp_path / "a.txt", np.eye(4))
    text = (tmp_path / "a.txt").read_text().replace("AffineTransform", "BSplineTransform")
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(InputError, match="BSplineTransform"):
        read_affine(tmp_path / "a.txt")


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1)])
def test_a_field_along_the_axes_is_what_interpolation_point_by_point_gives(signs):
    """A coarse grid parallel to the fine one, or mirrored; the fine one reaches beyond it."""
    field = np.random.default_rng(0).normal(size=(6, 7, 5, 3)).astype(np.float32)
    coarse = Grid((6, 7, 5), centred(np.diag([2.93, 2.11, 3.77]), (6, 7, 5)))
    fine = Grid((25, 20, 30), centred(np.diag(signs).astype(float), (25, 20, 30)))
    sampled = sample_displacement((field, coarse), fine)
    turned = Grid(coarse.shape, coarse.affine @ turn_about_nothing())
    expected = sample_displacement((field, turned), fine)
    assert sampled.dtype == np.float32
    assert (sampled == 0).all(axis=-1).any()
    np.testing.assert_allclose(sampled, expected, atol=1e-4)


def turn_about_nothing() -> np.ndarray:
    """A rotation too small to move anything, which leaves the way along the axes."""
    matrix = np.eye(4)
    matrix[0, 1], matrix[1, 0] = 1e-7, -1e-7
    return matrix


def test_bad_field_files(tmp_path):
    write_volume(tmp_path / "a.nii.gz", scan("RAS").data, np.eye(4))
    with pytest.raises(InputError, match="displacement field"):
        read_field(tmp_path / "a.nii.gz")
    grid = fixed_grid()
    write_field(tmp_path / "b.nii.gz", np.full((*grid.shape, 3), np.nan), grid)
    with pytest.raises(InputError, match="NaN"):
        read_field(tmp_path / "b.nii.gz")
