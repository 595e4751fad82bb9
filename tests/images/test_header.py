"""One affine in two places: what is written reads the same in nibabel, SimpleITK and antspyx."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pmrpipe.base.errors import InputError
from pmrpipe.cli import main
from pmrpipe.images.header import itk_affine, require_straight, skew, straight
from pmrpipe.images.orientation import corner_distance
from pmrpipe.images.transforms import read_field, write_affine, write_field
from pmrpipe.images.volume import Grid, read_grid, read_image, read_labels, write_volume

SHAPE = (14, 16, 18)
_RAS = np.diag([-1.0, -1, 1, 1])


def oblique(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    turn = Rotation.random(random_state=seed).as_matrix()
    affine[:3, :3] = turn * rng.uniform(0.5, 3, 3) * rng.choice([-1, 1], 3)
    affine[:3, 3] = rng.uniform(-100, 100, 3)
    return affine


def sheared(degrees: float, affine: np.ndarray) -> np.ndarray:
    shear = np.eye(4)
    shear[0, 1] = np.tan(np.deg2rad(degrees))
    return shear @ affine


def by_simpleitk(path: Path) -> np.ndarray | None:
    import SimpleITK as sitk

    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError:
        return None
    # A field is a vector image: its components count as no axis.
    return _world(image.GetDirection(), image.GetSpacing(), image.GetOrigin())


def by_ants(path: Path) -> np.ndarray | None:
    import ants

    try:
        image = ants.image_read(str(path))
    except RuntimeError:
        return None
    return _world(image.direction, image.spacing, image.origin)


def _world(direction, spacing, origin) -> np.ndarray:
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(direction, (3, 3)) * np.asarray(spacing)
    lps[:3, 3] = origin
    return _RAS @ lps


def headed(path: Path, sform, scode: int, qform, qcode: int, pixdim=None) -> Path:
    image = nib.Nifti1Image(np.random.default_rng(0).random(SHAPE).astype(np.float32), None)
    image.set_sform(sform, scode)
    image.set_qform(qform, qcode)
    if pixdim is not None:
        image.header["pixdim"][1:4] = pixdim
    nib.save(image, path)
    return path


HEADERS = [
    *[("same", 1, "same", 1), ("same", 1, None, 0), (None, 0, "same", 1), ("same", 4, None, 0)],
    *[("same", s, "moved", q) for s in (1, 2, 4) for q in (1, 2)],
    *[("sheared", s, "same", q) for s, q in ((1, 0), (1, 1), (2, 1), (4, 0))],
    *[("hardly", 1, None, 0), ("hardly", 1, "same", 1), ("barely", 1, None, 0)],
]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("sform", "scode", "qform", "qcode"), HEADERS)
def test_the_rule_is_that_of_itk(tmp_path, seed, sform, scode, qform, qcode):
    affine = oblique(seed)
    moved = affine.copy()
    moved[:3, 3] += (9, -4, 2)
    forms = {
        **{None: None, "same": affine, "moved": moved, "sheared": sheared(10, affine)},
        **{"hardly": sheared(0.1, affine), "barely": sheared(0.002, affine)},
    }
    sizes = np.linalg.norm((affine if qcode else forms[sform])[:3, :3], axis=0)
    path = headed(tmp_path / "a.nii", forms[sform], scode, forms[qform], qcode, sizes)
    expected = by_simpleitk(path)
    ours = itk_affine(nib.load(path).header)
    other = by_ants(path)
    assert (ours is None) == (expected is None) == (other is None)
    if expected is not None:
        np.testing.assert_allclose(other, expected, atol=1e-4)
        np.testing.assert_allclose(ours, expected, atol=1e-3)


def test_itk_takes_its_voxel_sizes_from_pixdim(tmp_path):
    affine = np.diag([1.0, 1.5, 2, 1])
    path = headed(tmp_path / "a.nii", affine, 1, None, 0, (1, 1.5, 2.5))
    np.testing.assert_allclose(itk_affine(nib.load(path).header), by_simpleitk(path), atol=1e-6)
    assert by_simpleitk(path)[2, 2] == pytest.approx(2.5)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("degrees", [0, 1e-4, 2e-3, 0.02])
def test_whatever_is_written_reads_alike_in_itk(tmp_path, seed, degrees):
    affine = sheared(degrees, oblique(seed))
    path, data = tmp_path / "a.nii.gz", np.random.default_rng(1).random(SHAPE, np.float32)
    write_volume(path, data, affine)
    seen = nib.load(path).affine
    assert corner_distance(seen, affine, SHAPE) < 0.1
    for reader in (by_simpleitk, by_ants):
        assert corner_distance(reader(path), seen, SHAPE) < 0.01


def test_a_sheared_grid_is_not_written(tmp_path):
    with pytest.raises(InputError, match=r"a\.nii\.gz: its affine is sheared"):
        write_volume(tmp_path / "a.nii.gz", np.ones(SHAPE, np.float32), sheared(10, oblique()))
    assert not list(tmp_path.iterdir())


def test_a_field_reads_alike_in_itk_or_is_refused(tmp_path):
    field = np.zeros((*SHAPE, 3), np.float32)
    affine = oblique(3)
    write_field(tmp_path / "a.nii.gz", field, Grid(SHAPE, affine))
    seen = by_simpleitk(tmp_path / "a.nii.gz")
    assert corner_distance(seen, affine, SHAPE) < 0.01
    assert read_field(tmp_path / "a.nii.gz")[1] == Grid(SHAPE, affine)
    with pytest.raises(InputError, match=r"b\.nii\.gz: its affine is sheared"):
        write_field(tmp_path / "b.nii.gz", field, Grid(SHAPE, sheared(10, affine)))
    assert not (tmp_path / "b.nii.gz").exists()


def test_an_affine_file_reads_in_simpleitk_as_it_was_written(tmp_path):
    import SimpleITK as sitk

    matrix, point = sheared(7, oblique(4)), np.array([3.0, -40, 21])
    for name in ("a.mat", "a.txt"):
        write_affine(tmp_path / name, matrix, centre=np.array([1.0, 2, 3]))
        transform = sitk.ReadTransform(str(tmp_path / name))
        moved = np.array(transform.TransformPoint((_RAS[:3, :3] @ point).tolist()))
        expected = matrix[:3, :3] @ point + matrix[:3, 3]
        np.testing.assert_allclose(_RAS[:3, :3] @ moved, expected, atol=1e-4)


@pytest.mark.parametrize("qcode", [0, 1])
@pytest.mark.parametrize("reader", [read_image, read_labels, read_grid])
def test_a_sheared_scan_is_refused_in_one_line(tmp_path, qcode, reader):
    affine = oblique(5)
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    path = headed(tmp_path / "a.nii", sheared(10, affine), 1, affine, qcode, sizes)
    with pytest.raises(
        InputError, match=r"a\.nii: its affine is sheared .*straight copy"
    ) as caught:
        reader(path)
    assert "\n" not in str(caught.value)


def test_the_straight_copy_shows_the_same_in_the_same_place(tmp_path):
    """A ball in the world of the sheared scan stays that ball, also for ITK."""
    shape, affine = (40, 44, 42), sheared(12, np.diag([3.0, 2.5, 2.8, 1]))
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2) + (5, -6, 7)
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    world = index @ affine[:3, :3].T + affine[:3, 3]
    ball = 100.0 * (np.linalg.norm(world - (5, -6, 7), axis=-1) < 30)
    image = nib.Nifti1Image(ball.astype(np.float32), affine)
    nib.save(image, tmp_path / "a.nii.gz")
    copy = tmp_path / "b.nii.gz"
    assert main(["resample", str(tmp_path / "a.nii.gz"), str(copy), "--mm", "2"]) == 0
    volume = read_image(copy)
    assert corner_distance(by_simpleitk(copy), volume.affine, volume.shape) < 0.01
    weight = volume.data / volume.data.sum()
    centre = [float((weight.sum(axis=tuple({0, 1, 2} - {a})) * np.arange(n)).sum())
              for a, n in enumerate(volume.shape)]  # fmt: skip
    np.testing.assert_allclose(volume.affine @ [*centre, 1], [5, -6, 7, 1], atol=0.2)
    litres = (volume.data > 50).sum() * 8 / (4 / 3 * np.pi * 30**3)
    assert litres == pytest.approx(1, abs=0.03)


def test_straightening_keeps_the_centre_and_the_voxel_sizes():
    affine, centre = sheared(15, oblique(6)), np.array([6.5, 7.5, 8.5])
    nearest = straight(affine, centre)
    assert skew(nearest) < 1e-12
    np.testing.assert_allclose(nearest[:3, :3] @ centre + nearest[:3, 3],
                               affine[:3, :3] @ centre + affine[:3, 3])  # fmt: skip
    np.testing.assert_allclose(
        np.linalg.norm(nearest[:3, :3], axis=0), np.linalg.norm(affine[:3, :3], axis=0)
    )
    require_straight("a", nearest, SHAPE)
