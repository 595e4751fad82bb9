"""Reading and checking images: what nibabel reads is read exactly, everything else in one line."""

from __future__ import annotations

import gzip
import os
import resource
import struct
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from pmrpipe.base.errors import InputError, WorkError
from pmrpipe.images.volume import (
    Grid,
    Volume,
    read_image,
    read_labels,
    read_mask,
    require_same_grid,
    write_volume,
)

AFFINE = np.array([[0, 0, 1.2, -9], [-1.5, 0, 0, 20], [0, -1, 0, 15], [0, 0, 0, 1.0]])


def ramp(shape=(6, 7, 8), dtype=np.int16) -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def noise(shape) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 900, shape).astype(np.int16)


def saved(path: Path, data=None, affine=AFFINE, kind=nib.Nifti1Image) -> Path:
    nib.save(kind(ramp() if data is None else data, affine), path)
    return path


def assert_refused(path: Path, words: str, reader=read_image, **options) -> None:
    with pytest.raises(InputError, match=words) as caught:
        reader(path, **options)
    assert path.name.split(".")[0] in str(caught.value)
    assert "\n" not in str(caught.value)


# -- what is read ------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mgz", "a b ü.nii.gz"])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_reads_what_nibabel_reads(tmp_path, name, kind):
    if name.endswith("mgz"):
        kind = nib.MGHImage
    path = saved(tmp_path / name, kind=kind)
    volume = read_image(path)
    assert volume.data.dtype == np.float32
    np.testing.assert_array_equal(volume.data, nib.load(path).get_fdata(dtype=np.float32))
    np.testing.assert_allclose(volume.affine, nib.load(path).affine)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_reads_scaled_and_big_endian(tmp_path, suffix, order):
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(np.int16)
    image = nib.Nifti1Image(ramp(dtype=np.float32) / 7, AFFINE, header)
    image.header.set_data_dtype(f"{order}i2")
    image.to_filename(tmp_path / f"a{suffix}")
    expected = nib.load(tmp_path / f"a{suffix}").get_fdata(dtype=np.float32)
    np.testing.assert_array_equal(read_image(tmp_path / f"a{suffix}").data, expected)


def test_one_volume_of_4d_is_squeezed(tmp_path):
    path = saved(tmp_path / "a.nii.gz", ramp((6, 7, 8, 1)))
    assert read_image(path).shape == (6, 7, 8)


def test_analyze_pair_with_orientation(tmp_path):
    path = saved(tmp_path / "S01.hdr", affine=np.diag([2, 1, 1, 1.0]), kind=nib.AnalyzeImage)
    volume = read_image(path, orientation="RPI")
    assert nib.aff2axcodes(volume.affine) == ("R", "P", "I")
    assert volume.spacing == (2, 1, 1)
    np.testing.assert_allclose(volume.affine @ [2.5, 3, 3.5, 1], [0, 0, 0, 1], atol=1e-9)
    np.testing.assert_array_equal(read_image(path.with_suffix(".img"), "RPI").data, volume.data)


def test_analyze_pair_compressed(tmp_path):
    path = saved(tmp_path / "S01.img.gz", affine=np.eye(4), kind=nib.AnalyzeImage)
    assert read_image(path, orientation="LAS").shape == (6, 7, 8)


def test_header_orientation_wins(tmp_path):
    volume = read_image(saved(tmp_path / "a.nii"), orientation="RAS")
    np.testing.assert_allclose(volume.affine, AFFINE)


def test_sform_is_used_and_disagreement_told(tmp_path, caplog):
    image = nib.Nifti1Image(ramp(), AFFINE)
    image.set_sform(AFFINE, 1)
    image.set_qform(np.diag([1.0, 1, 1, 1]), 1)
    nib.save(image, tmp_path / "a.nii")
    np.testing.assert_allclose(read_image(tmp_path / "a.nii").affine, AFFINE)
    assert "the sform is used" in caplog.text
    assert "left and right perhaps exchanged" in caplog.text


def test_symbolic_link(tmp_path):
    (tmp_path / "link.nii.gz").symlink_to(saved(tmp_path / "a.nii.gz"))
    assert read_image(tmp_path / "link.nii.gz").shape == (6, 7, 8)


def test_labels_and_masks(tmp_path):
    values = ramp(dtype=np.float32)
    labels = read_labels(saved(tmp_path / "l.nii.gz", values))
    assert labels.data.dtype == np.int32
    np.testing.assert_array_equal(labels.data, values)
    mask = read_mask(saved(tmp_path / "m.nii.gz", 255.0 * (values > 10)))
    np.testing.assert_array_equal(mask.data, values > 10)


# -- what is refused ---------------------------------------------------------------------------
def test_missing(tmp_path):
    assert_refused(tmp_path / "a.nii.gz", "no such file")


def test_unreadable(tmp_path):
    (tmp_path / "a.nii.gz").mkdir()
    assert_refused(tmp_path / "a.nii.gz", "is a folder")
    (tmp_path / "loop.nii").symlink_to(tmp_path / "loop.nii")
    assert_refused(tmp_path / "loop.nii", "cannot be read")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_not_permitted(tmp_path):
    saved(tmp_path / "a.nii").chmod(0)
    assert_refused(tmp_path / "a.nii", "cannot be read")


@pytest.mark.parametrize("keep", [0, 5, 200, 400, -300, -4])
def test_truncated_gzip(tmp_path, keep):
    path = saved(tmp_path / "a.nii.gz", noise((20, 20, 20)))
    path.write_bytes(path.read_bytes()[:keep])
    assert_refused(path, "truncated|empty")


def test_truncated_plain(tmp_path):
    path = saved(tmp_path / "a.nii")
    path.write_bytes(path.read_bytes()[:-10])
    assert_refused(path, "truncated")


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.mgz", "a.img", "a.txt"])
def test_not_an_image(tmp_path, name):
    (tmp_path / name).write_text("hello " * 500)
    assert_refused(tmp_path / name, "not an image|lacks")


def test_dicom(tmp_path):
    (tmp_path / "a.ima").write_bytes(bytes(128) + b"DICM" + bytes(100))
    assert_refused(tmp_path / "a.ima", "dcm2niix")


def test_several_volumes(tmp_path):
    assert_refused(saved(tmp_path / "a.nii.gz", ramp((6, 7, 8, 2))), "2 volumes")


def test_flat(tmp_path):
    assert_refused(saved(tmp_path / "a.nii.gz", ramp((6, 7, 1))), "6x7x1")
    assert_refused(saved(tmp_path / "b.nii.gz", ramp((6, 7))), "6x7")


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "all zero"), (3, "constant"), (np.nan, "NaN"), (np.inf, "infinite"), (1e300, "infinite")],
)
def test_values(tmp_path, value, words):
    data = ramp(dtype=np.float64)
    data[1, 2, 3] = value
    if words in ("all zero", "constant"):
        data[:] = value
    assert_refused(saved(tmp_path / "a.nii.gz", data), words)


def test_complex_and_colour(tmp_path):
    assert_refused(saved(tmp_path / "a.nii", ramp(dtype=np.complex64)), "complex")
    colour = np.zeros((6, 7, 8), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    assert_refused(saved(tmp_path / "b.nii", colour), "plain intensities")


def patched(path: Path, offset: int, content: bytes) -> Path:
    data = bytearray(path.read_bytes())
    data[offset : offset + len(content)] = content
    path.write_bytes(bytes(data))
    return path


def test_singular_affine(tmp_path):
    path = saved(tmp_path / "a.nii")
    assert_refused(patched(path, 280, bytes(16)), "singular")  # srow_x
    assert_refused(patched(path, 280, struct.pack("<f", np.nan)), "not finite")


def test_zero_voxel_size(tmp_path):
    assert_refused(patched(saved(tmp_path / "a.nii"), 80, bytes(4)), "voxel size 0x")


def test_voxel_size_in_metres(tmp_path):
    path = saved(tmp_path / "a.nii", affine=np.diag([1e-3, 1e-3, 1e-3, 1]))
    assert_refused(path, "must be in mm")


def test_no_orientation(tmp_path):
    path = patched(saved(tmp_path / "a.nii"), 252, bytes(4))  # qform_code, sform_code
    assert_refused(path, "states no orientation; say it")
    assert nib.aff2axcodes(read_image(path, "PIR").affine) == ("P", "I", "R")
    assert_refused(path, "three letters", orientation="RRS")
    pair = saved(tmp_path / "S01.img", affine=np.eye(4), kind=nib.AnalyzeImage)
    assert_refused(pair, "states no orientation")


def test_no_orientation_in_mgz(tmp_path):
    path = saved(tmp_path / "a.mgz", kind=nib.MGHImage)
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[28:30] = bytes(2)
    path.write_bytes(gzip.compress(bytes(content)))
    assert_refused(path, "states no orientation")


def test_labels_not_integers(tmp_path):
    path = saved(tmp_path / "a.nii.gz", ramp(dtype=np.float32) + 0.25)
    assert_refused(path, "no integers", read_labels)
    path = saved(tmp_path / "b.nii.gz", ramp(dtype=np.float64) * 1e9)
    assert_refused(path, "no label numbers", read_labels)
    path = saved(tmp_path / "c.nii.gz", ramp(dtype=np.int16) - 3)
    assert_refused(path, r"holds labels below 0 \(-3\)", read_labels)


def test_empty_mask(tmp_path):
    assert_refused(saved(tmp_path / "a.nii", ramp() * 0), "empty mask", read_mask)


def test_same_grid():
    first = Volume(ramp(), AFFINE)
    require_same_grid(first, Volume(ramp(), AFFINE + 1e-4), "a", "b")
    with pytest.raises(InputError, match="a: shape 6x7x8 differs from 6x7x9 of b"):
        require_same_grid(first, Volume(ramp((6, 7, 9)), AFFINE), "a", "b")
    turned = AFFINE.copy()
    turned[:3, :3] @= nib.eulerangles.euler2mat(0.05)
    with pytest.raises(InputError, match="affine differs"):
        require_same_grid(first, Volume(ramp(), turned), "a", "b")


# -- headers that lie --------------------------------------------------------------------------
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("shape", [(1000, 1000, 1000), (30000, 30000, 30000), (500, 500, 500)])
def test_small_file_that_promises_much(tmp_path, suffix, shape):
    path = saved(tmp_path / "a.nii", np.random.default_rng(0).normal(size=(20, 20, 20)))
    patched(path, 40, struct.pack("<4h", 3, *shape))
    if suffix == ".nii.gz":
        path.write_bytes(gzip.compress(path.read_bytes()))
        path = path.rename(tmp_path / "a.nii.gz")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert_refused(path, "truncated|too many|not an image")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB


def read_or_message(path: Path) -> np.ndarray | str:
    try:
        return read_image(path).data
    except InputError as error:
        return str(error)


def test_random_corruption_is_read_as_nibabel_reads_it_or_refused(tmp_path):
    rng = np.random.default_rng(0)
    path = saved(tmp_path / "a.nii.gz", rng.integers(0, 900, (24, 24, 24)).astype(np.int16))
    whole, broken = path.read_bytes(), tmp_path / "b.nii.gz"
    refused = 0
    for _ in range(200):
        content = bytearray(whole)
        content[rng.integers(len(whole))] = rng.integers(256)
        broken.write_bytes(bytes(content))
        data = read_or_message(broken)
        if isinstance(data, str):
            refused += 1
            assert "\n" not in data
        else:
            np.testing.assert_array_equal(data, nib.load(broken).get_fdata(dtype=np.float32))
    assert refused > 150


def test_random_header_corruption(tmp_path):
    """The same where no checksum guards the bytes: every header byte, uncompressed."""
    rng = np.random.default_rng(1)
    path = saved(tmp_path / "a.nii", rng.integers(1, 900, (12, 12, 12)).astype(np.int16))
    whole = path.read_bytes()
    for position in range(352):
        content = bytearray(whole)
        content[position] = (content[position] + int(rng.integers(1, 256))) % 256
        path.write_bytes(bytes(content))
        data = read_or_message(path)
        if isinstance(data, str):
            assert "\n" not in data
        else:
            expected = nib.load(path).get_fdata(dtype=np.float32)
            np.testing.assert_array_equal(data, expected.reshape(data.shape))


# -- writing -----------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.int64, np.float32, np.float64])
def test_write_read(tmp_path, dtype):
    data = ramp(dtype=np.int64).astype(dtype)
    write_volume(tmp_path / "a.nii.gz", data, AFFINE)
    image = nib.load(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(np.asarray(image.dataobj), data)
    np.testing.assert_allclose(image.get_sform(), AFFINE)
    np.testing.assert_allclose(image.get_qform(), AFFINE, atol=1e-5)
    assert image.get_data_dtype().itemsize <= 4


def test_same_bytes_twice(tmp_path):
    write_volume(tmp_path / "a.nii.gz", ramp(), AFFINE)
    write_volume(tmp_path / "b.nii.gz", ramp(), AFFINE)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_unwritable_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkError, match="cannot be written"):
        write_volume(tmp_path / "file" / "a.nii.gz", ramp(), AFFINE)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]


def test_grid():
    grid = Grid((6, 7, 8), AFFINE)
    assert grid.spacing == pytest.approx((1.5, 1.0, 1.2))
    assert grid == Volume(ramp(), AFFINE).grid
    assert Grid((160, 192, 176), np.eye(4)).rescaled(4).shape == (40, 48, 44)


def test_reading_is_importable_without_nibabel():
    code = "import sys; sys.modules['nibabel'] = None; import pmrpipe.images.volume"
    subprocess.run([sys.executable, "-c", code], check=True)
