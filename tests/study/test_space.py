"""Template and grids."""

from __future__ import annotations

import numpy as np
import pytest

from pmrpipe.images.volume import Grid
from pmrpipe.study.space import template_brain, template_grid


@pytest.mark.parametrize(
    ("mm", "shape"), [(1, (160, 192, 176)), (2, (80, 96, 88)), (4, (40, 48, 44))]
)
def test_grids_share_one_field_of_view(mm: float, shape: tuple[int, int, int]) -> None:
    grid, full = template_grid(mm), template_grid(1)
    assert grid.shape == shape
    corner = np.array([-0.5, -0.5, -0.5, 1])
    np.testing.assert_allclose(grid.affine @ corner, full.affine @ corner)
    far = np.array([*(np.array(shape) - 0.5), 1])
    np.testing.assert_allclose(grid.affine @ far, full.affine @ [159.5, 191.5, 175.5, 1])


def test_the_brain_lies_in_the_middle_with_margin() -> None:
    brain = template_brain(1)
    inside = np.argwhere(brain.data > 0.05)
    margin = np.minimum(inside.min(0), np.array(brain.shape) - 1 - inside.max(0))
    assert (margin >= 5).all()


def test_grids_compare_by_value() -> None:
    assert template_grid(2) == Grid((80, 96, 88), template_grid(2).affine.copy())
    assert template_grid(2) != template_grid(4)
