"""Votes of atlases: closed forms, an oracle in float64, and atlases that err alike."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from pmrpipe.stages.parcellate import fusion as module
from pmrpipe.stages.parcellate.fusion import Fusion, fuse

SHAPE = (9, 8, 7)
KINDS = ("majority", "local", "joint")


@pytest.fixture
def random():
    return np.random.default_rng(0)


def atlases(random, count=5):
    labels = [random.integers(0, 4, SHAPE).astype(np.int32) * 7 for _ in range(count)]
    images = [random.random(SHAPE).astype(np.float32) for _ in range(count)]
    return labels, images, random.random(SHAPE).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_where_all_atlases_agree_there_is_nothing_to_decide(random, kind):
    labels, images, target = atlases(random)
    fused = fuse([labels[0]] * 5, images, target, Fusion(kind))
    assert np.array_equal(fused.labels, labels[0])
    assert (fused.confidence == 1).all()


def test_the_majority_is_the_most_frequent_label(random):
    labels, images, target = atlases(random)
    fused = fuse(labels, images, target, Fusion("majority", smooth_mm=0))
    counts = np.stack([sum(map_ == n for map_ in labels) for n in (0, 7, 14, 21)])
    assert np.array_equal(fused.labels, np.array([0, 7, 14, 21])[counts.argmax(0)])
    assert np.allclose(fused.confidence, counts.max(0) / 5)


def weights_by_hand(images, target, voxel, fusion):
    """Weights of `joint` at one voxel, from the standardised cubes themselves, in float64."""
    half = fusion.window // 2
    cube = tuple(slice(max(0, n - half), n + half + 1) for n in voxel)
    patches = [np.asarray(a[cube], np.float64).ravel() for a in (*images, target)]
    patches = [(p - p.mean()) / np.linalg.norm(p - p.mean()) for p in patches]
    errors = [p - patches[-1] for p in patches[:-1]]
    products = np.array([[a @ b / 2 for b in errors] for a in errors]).clip(0)
    matrix = products**fusion.sharpness
    matrix += (fusion.ridge * matrix.diagonal().mean() + 1e-6) * np.eye(len(errors))
    return np.linalg.solve(matrix, np.ones(len(errors))).clip(0)


@pytest.mark.parametrize("voxel", [(4, 4, 3), (0, 7, 6), (8, 0, 0)])
def test_joint_weights_minimise_the_expected_error(random, voxel):
    labels, images, target = atlases(random, 4)
    for number, map_ in enumerate(labels):
        map_[voxel] = number + 1  # every atlas votes for a label of its own
    fusion = Fusion("joint", window=3, smooth_mm=0)
    fused = fuse(labels, images, target, fusion)
    weights = weights_by_hand(images, target, voxel, fusion)
    assert fused.labels[voxel] == weights.argmax() + 1
    assert fused.confidence[voxel] == pytest.approx(weights.max() / weights.sum(), abs=1e-4)


def test_atlases_that_err_alike_outvote_nobody_in_joint_fusion(random):
    target = random.random(SHAPE).astype(np.float32)
    good = [target + 0.1 * random.standard_normal(SHAPE).astype(np.float32) for _ in range(2)]
    bad = target + 0.15 * random.standard_normal(SHAPE).astype(np.float32)
    images = [*good, bad, bad, bad]
    labels = [np.full(SHAPE, 1), np.full(SHAPE, 1), *[np.full(SHAPE, 2)] * 3]
    shares = {
        kind: (fuse(labels, images, target, Fusion(kind)).labels == 1).mean() for kind in KINDS
    }
    assert shares["majority"] == 0
    assert shares["joint"] > 0.95 > shares["local"]


def test_resemblance_decides_between_two_atlases(random):
    target = random.random(SHAPE).astype(np.float32)
    images = [target * 0.5 + 0.1, random.random(SHAPE).astype(np.float32)]
    labels = [np.full(SHAPE, 1), np.full(SHAPE, 2)]
    assert (fuse(labels, images, target, Fusion("local")).labels == 1).all()


def test_shares_are_smoothed_in_millimetres_and_equal_ones_fall_to_the_smaller_label(random):
    """Against every label's share on the whole grid."""
    labels, images, target = atlases(random)
    fused = fuse(labels, images, target, Fusion("majority", smooth_mm=0.8), (1.0, 2.0, 0.5))
    shares = np.stack(
        [
            gaussian_filter(
                np.mean([map_ == n for map_ in labels], axis=0), (0.8, 0.4, 1.6), truncate=3,
                mode="nearest",
            )
            for n in (0, 7, 14, 21)
        ]
    )  # fmt: skip
    agreed = np.all([map_ == labels[0] for map_ in labels], axis=0)
    expected = np.where(agreed, labels[0], np.array([0, 7, 14, 21])[shares.argmax(0)])
    assert np.array_equal(fused.labels, expected)
    assert np.allclose(fused.confidence, np.where(agreed, 1, shares.max(0)), atol=1e-5)

    two = [np.full(SHAPE, 3), np.full(SHAPE, 2)]
    assert (fuse(two, images[:2], target, Fusion("majority")).labels == 2).all()


@pytest.mark.parametrize("kind", KINDS)
def test_slabs_leave_no_seam(random, kind, monkeypatch):
    labels, images, target = atlases(random)
    whole = fuse(labels, images, target, Fusion(kind))
    monkeypatch.setattr(module, "_SLAB", 2)
    parts = fuse(labels, images, target, Fusion(kind))
    assert np.array_equal(whole.labels, parts.labels)
    assert np.allclose(whole.confidence, parts.confidence, atol=1e-5)


def test_atlases_on_other_grids_are_refused(random):
    labels, images, target = atlases(random)
    with pytest.raises(ValueError, match="grid"):
        fuse(labels, [image[1:] for image in images], target)
    with pytest.raises(ValueError, match="0 label maps"):
        fuse([], [], target)
