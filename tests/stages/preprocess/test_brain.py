"""Brain extraction: masks come back on the input grid, weights are checked before loading."""

from __future__ import annotations

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pmrpipe.base.errors import InputError, WorkError
from pmrpipe.images.volume import Volume, read_image, read_labels
from pmrpipe.stages.preprocess import brain as module
from pmrpipe.stages.preprocess.brain import cut_out, extract_brain, solid


def ball(radius: float = 20, shape=(50, 52, 54)) -> np.ndarray:
    axes = (np.arange(n) - (n - 1) / 2 for n in shape)
    return sum(x**2 for x in np.meshgrid(*axes, indexing="ij")) < radius**2


def volume(data: np.ndarray, mm: float = 3.0) -> Volume:
    return Volume(data.astype(np.float32), np.diag([mm, mm, mm, 1]))


def test_nonzero_takes_the_largest_component_filled():
    expected = ball()
    data = expected * 5.0
    data[20:25, 22:30, 25:30] = 0  # a hole
    data[1:3, 1:3, 1:3] = 7  # a spot elsewhere
    brain = extract_brain(volume(data), "nonzero")
    assert brain.data.dtype == bool
    np.testing.assert_array_equal(brain.data, expected)


def test_nonzero_fills_no_bay_that_opens_to_the_border():
    inside = np.ones((6, 6, 6), bool)
    inside[2:4, 2:4, :4] = False  # open at k = 0
    inside[1, 1, 5] = False
    np.testing.assert_array_equal(solid(inside), inside)
    assert not solid(np.zeros((3, 3, 3), bool)).any()


def test_nonzero_refuses_a_whole_head():
    with pytest.raises(InputError, match="input_state"):
        extract_brain(volume(np.ones((40, 40, 40))), "nonzero", name="scan.nii")


def test_given_mask():
    image, mask = volume(np.ones((50, 52, 54))), Volume(ball(), np.diag([3.0, 3, 3, 1]))
    np.testing.assert_array_equal(extract_brain(image, "mask", mask).data, ball())
    with pytest.raises(InputError, match=r"scan\.nii: has no mask"):
        extract_brain(image, "mask", None, name="scan.nii")
    moved = Volume(mask.data, np.diag([3.0, 3, 3.2, 1]))
    with pytest.raises(InputError, match="its affine differs"):
        extract_brain(image, "mask", moved)


def test_too_little_is_no_brain():
    with pytest.raises(WorkError, match=r"found 0\.00 litres"):
        extract_brain(volume(ball(3)), "nonzero", name="scan.nii")


def test_unknown_method():
    with pytest.raises(InputError, match="unknown brain extraction"):
        extract_brain(volume(ball()), "magic")


def test_cut_out_keeps_brain_above_background():
    data = np.where(ball(), -4.0, 9.0)
    data[25, 26, 27] = -6
    cut = cut_out(volume(data), Volume(ball(), np.eye(4)))
    assert cut[0, 0, 0] == 0
    assert cut[25, 26, 27] == 0
    assert cut[25, 26, 30] == 2


def test_weights_are_those_of_the_wheel():
    assert (module.deepbet_weights() / "model.pt").is_file()


def test_changed_weights_are_never_loaded(monkeypatch):
    import torch

    def forbidden(*args, **kwargs):
        raise AssertionError("loaded")

    monkeypatch.setattr(torch.jit, "load", forbidden)
    monkeypatch.setitem(module.WEIGHTS, "model.pt", "0" * 64)
    with pytest.raises(WorkError, match=r"model\.pt: is not the known file"):
        extract_brain(volume(ball()), "deepbet")


def test_missing_weights_and_package(monkeypatch):
    monkeypatch.setitem(module.WEIGHTS, "other.pt", "0" * 64)
    with pytest.raises(WorkError, match="is missing"):
        module.deepbet_weights()
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WorkError, match="is not installed"):
        module.deepbet_weights()


def test_no_foreground_is_one_line():
    noise = np.random.default_rng(0).normal(size=(40, 40, 40))
    with pytest.raises(WorkError, match=r"scan\.nii: .*(no brain)"):
        extract_brain(volume(noise, 1.0), "deepbet", name="scan.nii")


@pytest.mark.slow
@pytest.mark.real_data
def test_deepbet_on_a_whole_head_in_any_orientation(shared_data):
    """Holds 99 % of the labels in at most 1.3 times their number; oblique PIR gives the same."""
    path = shared_data / "heads/sub-swm/anat/sub-swm_T1w.nii.gz"
    head = read_image(path)
    labels = read_labels(path.with_name("sub-swm_desc-aparcaseg_dseg.nii.gz")).data > 0
    mask = extract_brain(head, "deepbet", name=path)
    assert mask.data[labels].mean() >= 0.99
    assert mask.data.sum() <= 1.3 * labels.sum()

    turned, back = reoriented(head, "PIR")
    oblique = np.eye(4)
    oblique[:3, :3] = Rotation.from_euler("xyz", [10, -7, 12], degrees=True).as_matrix()
    again = extract_brain(Volume(turned.data, oblique @ turned.affine), "deepbet", threads=2)
    assert again.shape == turned.shape
    np.testing.assert_array_equal(back(again.data), mask.data)


@pytest.mark.slow
@pytest.mark.real_data
def test_deepbet_on_colin27():
    """Debian's mricron-data: a whole head and the brain that its publisher cut out by BET."""
    default = "/usr/share/mricron/templates"
    folder = Path(os.environ.get("PMRPIPE_MRICRON", default))
    if not (folder / "ch2bet.nii.gz").exists():
        pytest.skip(f"no ch2bet.nii.gz in {folder}: apt install mricron-data, or PMRPIPE_MRICRON")
    mask = extract_brain(read_image(folder / "ch2.nii.gz"), "deepbet", name="ch2").data > 0
    brain = read_image(folder / "ch2bet.nii.gz").data > 0
    assert 2 * (mask & brain).sum() / (mask.sum() + brain.sum()) >= 0.93


def reoriented(image: Volume, codes: str):
    """The image with its axes along `codes`, and the function that turns arrays back."""
    own = nib.io_orientation(image.affine)
    there = nib.orientations.ornt_transform(own, nib.orientations.axcodes2ornt(codes))
    turned = nib.Nifti1Image(image.data, image.affine).as_reoriented(there)
    here = nib.orientations.ornt_transform(nib.io_orientation(turned.affine), own)
    data = np.ascontiguousarray(turned.get_fdata(dtype=np.float32))
    return Volume(data, turned.affine), lambda array: nib.apply_orientation(array, here)
