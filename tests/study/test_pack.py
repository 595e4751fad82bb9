"""Packed arrays: readable by safetensors, exact to half a step, small in memory."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from pmrpipe.base.errors import InputError
from pmrpipe.images.volume import Grid
from pmrpipe.study.pack import open_arrays, pack

GRID = Grid((4, 5, 6), np.diag([2.0, 2, 2, 1]))


def arrays():
    rng = np.random.default_rng(0)
    images = {key: rng.random(GRID.shape).astype(np.float32) for key in ("sub-b", "sub-a")}
    return images, {"sub-a": rng.integers(0, 65536, GRID.shape).astype(np.int32)}


def test_round_trip(tmp_path):
    images, dsegs = arrays()
    pack(images, {"sub-a": lambda: dsegs["sub-a"]}, GRID, tmp_path / "a.safetensors", [3, 1])
    packed = open_arrays(tmp_path / "a.safetensors")
    assert packed.keys == ("sub-a", "sub-b")
    assert packed.labels == (3, 1)
    assert packed.labelled == {"sub-a"}
    assert packed.grid == GRID
    for key, image in images.items():
        stored = packed.image(key, GRID.shape)[0, 0].numpy()
        np.testing.assert_allclose(stored, image, atol=0.51 / 65535)
    np.testing.assert_array_equal(packed.dseg("sub-a")[0, 0].numpy(), dsegs["sub-a"])
    np.testing.assert_array_equal(
        load_file(tmp_path / "a.safetensors")["dseg/sub-a"], dsegs["sub-a"]
    )


def test_torch_reads_it(tmp_path):
    torch = pytest.importorskip("torch")
    pack(*arrays(), GRID, tmp_path / "a.safetensors")
    with safe_open(tmp_path / "a.safetensors", framework="pt") as handle:
        assert handle.get_tensor("image/sub-a").dtype == torch.uint16


def test_same_bytes_whatever_the_order(tmp_path):
    images, dsegs = arrays()
    pack(images, dsegs, GRID, tmp_path / "a.safetensors")
    pack(dict(sorted(images.items())), dsegs, GRID, tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_refused(tmp_path):
    images, dsegs = arrays()
    out = tmp_path / "a.safetensors"
    with pytest.raises(InputError, match="above 65535"):
        pack(images, {"sub-a": dsegs["sub-a"] + 65536}, GRID, out)
    with pytest.raises(InputError, match="has shape"):
        pack({"sub-a": np.zeros((2, 2, 2))}, {}, GRID, out)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="no such file"):
        open_arrays(out)
    out.write_bytes(b"hello")
    with pytest.raises(InputError, match="is no pack of pmrpipe"):
        open_arrays(out)


def test_needs_numpy_and_safetensors_alone():
    code = (
        "import sys\n"
        "for name in ('nibabel', 'scipy', 'pandas', 'torch', 'ants'): sys.modules[name] = None\n"
        "import pmrpipe.study.pack"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
