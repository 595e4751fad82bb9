import time

import numpy as np
import pytest

from pmrpipe.metrics.overlap import label_overlap


def blocks(labels: int, shape=(40, 48, 40), seed=0) -> np.ndarray:
    """Random label map of compact blocks."""
    coarse = np.random.default_rng(seed).integers(0, labels + 1, tuple(n // 4 for n in shape))
    return np.kron(coarse, np.ones((4, 4, 4), int)).astype(np.int32)


def test_touching_cubes_do_not_overlap():
    fixed, warped = np.zeros((2, 12, 8, 8), np.int16)
    fixed[2:6, 2:6, 2:6] = 1
    warped[6:10, 2:6, 2:6] = 1
    overlap = label_overlap(fixed, warped)
    assert overlap.labels.tolist() == [1]
    assert overlap.dice[0] == 0
    assert (overlap.n_fixed[0], overlap.n_warped[0]) == (64, 64)


def test_half_overlap():
    fixed, warped = np.zeros((2, 12, 8, 8), np.int16)
    fixed[2:6, 2:6, 2:6] = 7
    warped[4:6, 2:6, 2:6] = 7
    overlap = label_overlap(fixed, warped)
    assert overlap.dice[0] == pytest.approx(2 * 32 / (64 + 32))
    assert overlap.target_overlap[0] == pytest.approx(0.5)


def test_one_voxel_and_label_in_one_map_only():
    fixed, warped = np.zeros((2, 5, 5, 5), np.uint8)
    fixed[2, 2, 2] = warped[2, 2, 2] = 3
    fixed[0, 0, 0] = 4
    warped[1, 1, 1] = 5
    overlap = label_overlap(fixed, warped)
    assert overlap.labels.tolist() == [3, 4, 5]
    assert overlap.dice.tolist() == [1, 0, 0]
    assert overlap.target_overlap.tolist() == [1, 0, 0]


def test_empty_maps_have_no_label():
    empty = np.zeros((4, 4, 4), int)
    assert label_overlap(empty, empty).dice.shape == (0,)


def test_large_label_numbers_and_memory_order():
    fixed = np.zeros((4, 5, 6), np.int64)
    fixed[0] = 2_000_000_000
    fixed[1] = 12
    overlap = label_overlap(fixed, np.asfortranarray(fixed))
    assert overlap.labels.tolist() == [12, 2_000_000_000]
    assert overlap.dice.tolist() == [1, 1]


def test_only_keeps_the_asked_labels():
    labels = blocks(9)
    assert label_overlap(labels, labels).only([3, 8, 77]).labels.tolist() == [3, 8]


@pytest.mark.parametrize(
    ("fixed", "warped", "problem"),
    [
        (np.zeros((2, 2, 2), int), np.zeros((2, 2, 3), int), "shape"),
        (np.zeros((2, 2, 2)), np.zeros((2, 2, 2)), "integers"),
        (np.full((2, 2, 2), -1), np.zeros((2, 2, 2), int), "negative"),
    ],
)
def test_wrong_input_is_refused(fixed, warped, problem):
    with pytest.raises(ValueError, match=problem):
        label_overlap(fixed, warped)


def test_equals_monai():
    torch = pytest.importorskip("torch")
    metrics = pytest.importorskip("monai.metrics")
    fixed, warped = blocks(30), np.roll(blocks(30), 2, axis=0)
    onehot = [
        torch.from_numpy((volume[None] == np.arange(31)[:, None, None, None])[None])
        for volume in (warped, fixed)
    ]
    theirs = metrics.compute_dice(*onehot, include_background=False)[0].numpy()
    overlap = label_overlap(fixed, warped)
    np.testing.assert_allclose(overlap.dice, theirs[overlap.labels - 1], atol=1e-6)


@pytest.mark.slow
def test_forty_times_faster_than_monai():
    torch = pytest.importorskip("torch")
    helper = pytest.importorskip("monai.metrics.meandice").DiceHelper
    fixed = blocks(130, (160, 192, 160))
    warped = np.roll(fixed, 2, axis=0)
    began = time.perf_counter()
    helper(include_background=False, num_classes=131, reduction="none")(
        *(torch.from_numpy(volume[None, None]) for volume in (warped, fixed))
    )
    theirs = time.perf_counter() - began
    began = time.perf_counter()
    label_overlap(fixed, warped)
    assert theirs > 40 * (time.perf_counter() - began)
