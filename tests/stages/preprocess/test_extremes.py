"""Hot voxels, spikes and backgrounds of any value: the brain comes out as without them."""

from __future__ import annotations

import numpy as np
import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.images.extremes import brain_limits, count_extremes, tamed_brain, tamed_head
from pmrpipe.images.volume import Volume, write_volume
from pmrpipe.stages.preprocess import template_extraction
from pmrpipe.stages.preprocess.affine import normalise
from pmrpipe.stages.preprocess.bias import without_bias
from pmrpipe.stages.preprocess.brain import cut_out, extract_brain
from pmrpipe.stages.preprocess.resample import to_isotropic
from pmrpipe.stages.preprocess.whiten import whiten, whitened
from tests.stages.preprocess.conftest import MM, distance


def disturbed(volume: Volume, inside: np.ndarray, kind: str) -> Volume:
    """The image with a hot voxel, a cold one, both, or a cluster of one in a hundred voxels."""
    data, places = volume.data.copy(), np.argwhere(inside)
    middle = tuple(places[len(places) // 2])
    if kind in ("hot", "both"):
        data[middle] = 1e7
    if kind in ("cold", "both"):
        data[middle[0], middle[1], middle[2] + 1] = -1e7
    if kind == "cluster":
        data[tuple(places[: len(places) // 100].T)] = 1e5
    if kind == "largest":
        data[middle] = 3e38
    return Volume(data, volume.affine)


KINDS = ["hot", "cold", "both", "cluster", "largest"]


@pytest.mark.parametrize("kind", KINDS)
def test_whitening_hardly_feels_extremes(subject, template, kind):
    mask = subject.mask
    clean = whiten(subject.brain, mask, subject.matrix, template.grid)
    other = whiten(disturbed(subject.brain, mask.data, kind), mask, subject.matrix, template.grid)
    inside = clean > 0
    np.testing.assert_array_equal(other > 0, inside)
    away = np.abs(other - clean)[inside]
    # A step of the whitened scale is a sixth for each deviation; raw means gave 0.15 and more.
    assert np.median(away) < (0.04 if kind == "cluster" else 0.003)
    assert (away > 0.05).mean() < 0.03


def test_without_extremes_nothing_changes_to_the_bit(subject):
    data, inside = subject.brain.data, subject.mask.data
    assert tamed_brain(data, inside) is data
    assert tamed_head(data) is data
    brain = data[inside].astype(np.float64)
    z = np.clip((brain - brain.mean()) / brain.std(), -3, 3)
    expected = np.maximum((z + 3) / 6, 1e-3).astype(np.float32)
    np.testing.assert_array_equal(whitened(data, inside)[inside], expected)


def test_limits_are_six_deviations_where_something_lies_beyond_twenty():
    values = np.random.default_rng(0).normal(100, 10, 200_000)
    assert brain_limits(values) is None
    assert count_extremes(values) == 0
    values[:3] = (290, -95, 320)  # 19, 19.5 and 22 deviations
    low, high = brain_limits(values)
    assert (low, high) == pytest.approx((40, 160), abs=1)
    assert count_extremes(values) == 1


def test_a_brain_of_few_values_has_its_limits_too():
    values = np.repeat([0.0, 100, 100, 100, 200], 1000)
    assert brain_limits(values) is None
    values[0] = 1e7
    low, high = brain_limits(values)
    assert low < 0
    assert 200 < high < 1000


@pytest.mark.parametrize("kind", KINDS)
def test_the_brain_that_is_written_holds_no_extreme(subject, kind):
    clean = cut_out(subject.brain, subject.mask)
    other = cut_out(disturbed(subject.brain, subject.mask.data, kind), subject.mask)
    assert other.min() >= 0
    assert other.max() < 5 * clean.max()
    shift = np.median((other - clean)[subject.mask.data])
    changed = np.abs(other - clean - shift)[subject.mask.data] > 0.05 * clean.max()
    assert changed.mean() < 0.02


@pytest.mark.parametrize("kind", ["hot", "cluster"])
def test_the_affine_is_that_of_the_clean_brain(subject, template, kind):
    other = disturbed(subject.brain, subject.mask.data, kind)
    brain = Volume(cut_out(other, subject.mask), other.affine)
    normal = normalise(to_isotropic(brain, MM), template, subject="sub-01")
    assert distance(normal.matrix, subject.matrix, template) < 1.0


def test_bias_correction_hardly_feels_a_hot_voxel(subject, monkeypatch):
    from pmrpipe.stages.preprocess import bias

    monkeypatch.setattr(bias, "_CONVERGENCE", {"iters": [4], "tol": 1e-7})
    clean = without_bias(subject.brain, subject.mask)
    hot = disturbed(subject.brain, subject.mask.data, "hot")
    other = without_bias(hot, subject.mask)
    inside = subject.mask.data
    assert np.median(np.abs(other - clean)[inside]) < 0.01 * np.median(clean[inside])


@pytest.mark.parametrize("value", [1e7, -1e7])
def test_a_head_stands_out_of_its_background_whatever_one_voxel_says(value):
    """What the template extraction registers, of a ball of tissue in noise."""
    rng = np.random.default_rng(3)
    axes = np.meshgrid(*[np.arange(40) - 19.5] * 3, indexing="ij")
    ball = sum(x**2 for x in axes) < 15**2
    data = (rng.normal(4, 1, ball.shape) + 100 * ball).astype(np.float32)
    hot = data.copy()
    hot[20, 20, 20] = value
    affine = np.diag([4.0, 4, 4, 1])
    one, other = (
        template_extraction._foreground(Volume(tamed_head(d), affine), "x") for d in (data, hot)
    )
    assert ((other.data > 0) != (one.data > 0)).sum() <= 1
    assert np.corrcoef(other.data.ravel(), one.data.ravel())[0, 1] > 0.99


def brain_alone(subject, kind: str) -> np.ndarray:
    """The brain, its intensities and its background as other programs leave them."""
    inside, data = subject.mask.data, subject.brain.data.astype(np.float32)
    if kind == "z-score":
        scored = (data - data[inside].mean()) / data[inside].std()
        return np.where(inside, scored, 0)
    if kind == "ringing":
        rng = np.random.default_rng(0)
        near = np.zeros_like(inside)
        near[2:-2, 2:-2, 2:-2] = True
        return np.where(
            inside, data, np.where(near, -0.01 * data.max() * rng.random(data.shape), 0)
        )
    background = {"black": 0, "far below": -1000, "white": 255, "minus one": -1}[kind]
    return np.where(inside, data * 100 + 1, background)


@pytest.mark.parametrize("kind", ["black", "z-score", "far below", "white", "minus one", "ringing"])
def test_a_brain_alone_is_found_whole_whatever_its_background(subject, kind):
    image = Volume(brain_alone(subject, kind).astype(np.float32), subject.brain.affine)
    mask = extract_brain(image, "nonzero")
    np.testing.assert_array_equal(mask.data, extract_brain(subject.brain, "nonzero").data)
    cut = cut_out(image, mask)
    assert not cut[~mask.data].any()
    assert cut.min() == 0
    both = np.corrcoef(cut[mask.data], subject.brain.data[mask.data])
    assert both[0, 1] > 0.999


@pytest.mark.parametrize("kind", ["noise", "gradient"])
def test_a_background_without_a_value_is_refused(subject, kind):
    noise = np.random.default_rng(1).normal(5, 2, subject.brain.shape)
    ramp = np.indices(subject.brain.shape)[0] + 1.0
    data = np.where(subject.mask.data, 100, noise if kind == "noise" else ramp)
    image = Volume(data.astype(np.float32), subject.brain.affine)
    with pytest.raises(InputError, match=r"scan\.nii: .*set input_state: head, or give a mask"):
        extract_brain(image, "nonzero", name="scan.nii")


def test_a_percentage_is_no_brain_of_a_head_template(template, tmp_path):
    head = (template.data * 100 + 20).astype(np.float32)
    inside = template.data > 0.3
    depth = np.indices(head.shape)[2] / head.shape[2]
    write_volume(tmp_path / "head.nii.gz", head, template.affine)
    brains = {"percent": np.rint(100 * inside * (1 - depth)), "brain": head * inside * 1.1}
    brains |= {"probability": inside * depth, "mask": inside * 255.0}
    for name, data in brains.items():
        write_volume(tmp_path / f"{name}.nii.gz", data.astype(np.float32), template.affine)
    read = template_extraction.read_head_template
    for name in ("brain", "mask"):
        held = read(tmp_path / "head.nii.gz", tmp_path / f"{name}.nii.gz").probability.data
        np.testing.assert_array_equal(held > 0.5, inside)
    soft = read(tmp_path / "head.nii.gz", tmp_path / "probability.nii.gz").probability.data
    np.testing.assert_allclose(soft, inside * depth, atol=1e-6)
    with pytest.raises(InputError, match=r"percent\.nii\.gz: holds values .* not the head's"):
        read(tmp_path / "head.nii.gz", tmp_path / "percent.nii.gz")
