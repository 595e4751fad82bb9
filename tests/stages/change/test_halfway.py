"""The half-way space of two scans: where it lies, and that no side is favoured."""

from __future__ import annotations

import numpy as np
import pytest

from pmrpipe.images.volume import Volume
from pmrpipe.stages.change.halfway import align, evened, first_guess, halfway
from pmrpipe.stages.change.images import common_mask, seen
from pmrpipe.study.space import template_grid

from ...helpers.rescans import pose, rescan

GRID = template_grid(4.0)
# An affine to the template is never exact, and not alike of both scans.
MISSED = np.diag([1.01, 0.99, 1.005, 1.0]), np.diag([0.995, 1.01, 1.0, 1.0])


@pytest.fixture(scope="module")
def moved() -> tuple:
    """Two scans of one brain in two poses, and the affines that a normalisation would give."""
    first, second = rescan(4.0, pose(4, 3, 1)), rescan(4.0, pose(5, 6, 2), bias=0.1, seed=2)
    affines = tuple(scan[1] @ error for scan, error in zip((first, second), MISSED, strict=True))
    return first, second, affines


def test_the_pose_is_found_to_a_fraction_of_a_voxel(moved: tuple) -> None:
    first, second, affines = moved
    found = align((first[0], second[0]), affines, first[2] | second[2], GRID)
    truth = second[1] @ np.linalg.inv(first[1])
    corners = np.array([[x, y, z, 1] for x in (-60, 60) for y in (-90, 60) for z in (-50, 70)]).T
    assert np.abs(((found.rigid - truth) @ first[1] @ corners)[:3]).max() < 0.2  # of 4 mm voxels


def test_exchanging_the_scans_gives_the_inverse(moved: tuple) -> None:
    first, second, affines = moved
    mask = first[2] | second[2]
    there = align((first[0], second[0]), affines, mask, GRID)
    again = align((second[0], first[0]), affines[::-1], mask, GRID)
    np.testing.assert_allclose(there.rigid @ again.rigid, np.eye(4), atol=1e-3)
    np.testing.assert_allclose(there.first, again.second, atol=1e-3)


def test_half_way_is_half_of_the_rotation_and_of_the_shift() -> None:
    rigid = np.eye(4)
    rigid[:2, :2] = [[0, -1], [1, 0]]  # a quarter turn
    rigid[2, 3] = 8
    space = halfway(rigid, (np.eye(4), rigid))
    turn = space.second[:3, :3] @ np.linalg.inv(space.first[:3, :3])
    np.testing.assert_allclose(turn, rigid[:3, :3], atol=1e-9)
    assert space.second[2, 3] - space.first[2, 3] == pytest.approx(8)
    assert np.linalg.det(space.first[:3, :3]) == pytest.approx(np.linalg.det(space.second[:3, :3]))


def test_the_first_guess_is_rigid_whatever_the_affines_stretch() -> None:
    turn = pose(20, 5, 3)
    guess = first_guess((MISSED[0], turn @ MISSED[0]), np.zeros(3))
    np.testing.assert_allclose(guess, turn, atol=1e-9)


def test_a_smooth_factor_between_the_scans_is_shared_out() -> None:
    brain = np.ones(GRID.shape, bool)
    image = 1 + 0.3 * np.random.default_rng(0).random(GRID.shape)
    bias = np.exp(np.linspace(-0.3, 0.3, GRID.shape[0]))[:, None, None]
    first, second = evened(50 * image, 80 * image * bias, brain, GRID)
    inner = (slice(12, -12),) * 3
    assert np.abs(np.log(first / second)[inner]).max() < 0.02
    assert np.abs(np.log(bias)).max() == pytest.approx(0.3)


def test_both_scans_get_one_mask_and_one_scale(moved: tuple) -> None:
    first, second, affines = moved
    own = [Volume(scan[2], GRID.affine) for scan in (first, second)]
    space = align((first[0], second[0]), affines, first[2] | second[2], GRID)
    mask = common_mask(tuple(own), (first[1], second[1]), space, GRID)
    images = seen((first[0], second[0]), space, mask, GRID)
    for image in images:
        assert ((image > 0) == mask).all()
        assert image.max() <= 1
    assert abs(images[0][mask].mean() - images[1][mask].mean()) < 0.01
