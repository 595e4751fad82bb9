"""Damaged files: refused in one line or read as nibabel reads them, in little memory."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.helpers.corruption import corrupted

REPO = Path(__file__).resolve().parents[2]
COUNT = 200


def taken(folder: Path) -> dict:
    """What reading all files of the folder gave."""
    environment = {**os.environ, "PYTHONPATH": str(REPO / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(REPO / "tests" / "helpers" / "corruption.py"), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def image() -> nib.Nifti1Image:
    data = np.random.default_rng(0).integers(0, 900, (20, 22, 24)).astype(np.int16)
    image = nib.Nifti1Image(data, np.diag([2.0, 2.5, 3, 1]))
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"of the scanner"))
    return image


@pytest.mark.parametrize("where", ["compressed", "inside", "plain"])
def test_corrupted_bytes(tmp_path, where):
    """Of the file as it lies on disk, of what is in it, and of a file that is not compressed."""
    content = image().to_bytes()
    for number in range(COUNT):
        if where == "compressed":
            (tmp_path / f"{number}.nii.gz").write_bytes(corrupted(gzip.compress(content), number))
        elif where == "inside":
            inside = gzip.compress(corrupted(content, number), 1)
            (tmp_path / f"{number}.nii.gz").write_bytes(inside)
        else:
            (tmp_path / f"{number}.nii").write_bytes(corrupted(content, number))
    counts = taken(tmp_path)
    assert counts["wrong"] == []
    assert counts["read"] + counts["refused"] == COUNT
    assert counts["refused"] > 20
    assert where == "compressed" or counts["read"] > 20
    assert counts["mb"] < 500


@pytest.mark.real_data
@pytest.mark.slow
@pytest.mark.parametrize("where", ["compressed", "inside"])
def test_corrupted_bytes_of_a_real_scan(shared_data, tmp_path, where):
    content = (shared_data / "malf/sub-1036/anat/sub-1036_desc-brain_T1w.nii.gz").read_bytes()
    inside = gzip.decompress(content)
    read = refused = 0
    for number in range(COUNT):
        damaged = corrupted(content, number)
        if where == "inside":
            damaged = gzip.compress(corrupted(inside, number), 1)
        (tmp_path / f"{number}.nii.gz").write_bytes(damaged)
        if number % 20 == 19:
            counts = taken(tmp_path)
            assert counts["wrong"] == []
            assert counts["mb"] < 1000
            read, refused = read + counts["read"], refused + counts["refused"]
            for path in tmp_path.iterdir():
                path.unlink()
    assert read + refused == COUNT
    assert refused > 5  # most of a scan is voxels, which may be anything


def lying(path: Path, content: bytes, template: np.dtype, **fields: object) -> None:
    header = np.frombuffer(content, template, 1).copy()
    for name, value in fields.items():
        header[name] = value
    out = header.tobytes() + content[header.nbytes :]
    path.write_bytes(gzip.compress(out) if path.suffix in (".gz", ".mgz") else out)


def test_headers_that_promise_more_than_there_is(tmp_path):
    """Gigabytes by their sizes, offset, extension or type: refused without asking for them."""
    content, nifti = image().to_bytes(), nib.Nifti1Header.template_dtype
    huge = {"dim": [[3, 1000, 1000, 500, 1, 1, 1, 1]], "datatype": 64, "bitpix": 64}
    for suffix in (".nii", ".nii.gz"):
        lying(tmp_path / f"size{suffix}", content, nifti, **huge)
        lying(tmp_path / f"most{suffix}", content, nifti, dim=[[3, *[32767] * 3, 1, 1, 1, 1]])
        lying(tmp_path / f"negative{suffix}", content, nifti, dim=[[3, -5, 22, 24, 1, 1, 1, 1]])
        lying(tmp_path / f"offset{suffix}", content, nifti, vox_offset=2**31)
        volumes = [[4, 20, 22, 24, 32767, 1, 1, 1]]
        lying(tmp_path / f"volumes{suffix}", content, nifti, dim=volumes)
        extended = bytearray(content)
        extended[352:356] = (2**31 - 16).to_bytes(4, "little")
        lying(tmp_path / f"extension{suffix}", bytes(extended), nifti, vox_offset=2**31)
    scan = nib.MGHImage(np.asarray(image().dataobj, np.float32), np.eye(4)).to_bytes()
    for suffix in (".mgh", ".mgz"):
        lying(
            tmp_path / f"size{suffix}",
            scan,
            nib.freesurfer.mghformat.MGHHeader.template_dtype,
            dims=[[1000, 1000, 500, 1]],
        )
    # What compresses well may be large indeed: still not read before its size is known.
    (tmp_path / "zeros.nii.gz").write_bytes(gzip.compress(content[:352] + bytes(300 << 20)))
    counts = taken(tmp_path)
    assert counts["wrong"] == []
    assert counts["refused"] == len(list(tmp_path.iterdir()))
    assert counts["mb"] < 500
