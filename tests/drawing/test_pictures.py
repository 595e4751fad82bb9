import io
from dataclasses import replace

import numpy as np
import pytest

from pmrpipe.drawing import pictures
from pmrpipe.drawing.style import drawing
from pmrpipe.images.transforms import write_field
from pmrpipe.images.volume import read_image, read_labels, write_volume
from pmrpipe.stages.report.pair_reader import PairReader
from pmrpipe.study.space import template_grid
from tests.helpers.synthetic_study import LABELS, make_study


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return make_study(tmp_path_factory.mktemp("study"), subjects=2, methods={"affine": 0, "pmr": 1})


def views_of(study, method="pmr", table=LABELS):
    return PairReader(study, table).views(method, "sub-01", "sub-02")


def test_views_show_one_place_of_every_image(study):
    for view in views_of(study):
        shape = view.fixed.shape
        assert view.moving.shape == view.warped.shape == view.brain.shape == shape
        assert view.warped_regions.shape == view.jacobian.shape == shape
        assert view.grid_lines.shape == (2, *shape)
        assert view.spacing == (8, 8)


def test_regions_of_a_view_are_those_of_the_label_map(study):
    warped = read_labels(study.warped_dseg("pmr", "sub-01", "sub-02")).data
    region = {0: 0, 15: 0, 16: 0} | {label: (label + 1) // 2 for label in range(1, 15)}
    expected = np.vectorize(region.get)(warped)
    axial = views_of(study)[0].warped_regions
    height, width = axial.shape
    slices = [expected[:, :, z].T for z in range(warped.shape[2])]
    corners = [(r, c) for r in range(3) for c in range(3)]
    assert any(
        np.array_equal(axial, plane[r : r + height, c : c + width])
        for plane in slices
        for r, c in corners
    )


def test_affine_has_no_grid_and_labels_need_a_table(study):
    for view in views_of(study, "affine", None):
        assert view.grid_lines is None
        assert view.jacobian is None
        assert view.fixed_regions is None


def test_images_that_are_gone_give_no_view(study):
    assert PairReader(study, LABELS).views("syn", "sub-01", "sub-02") is None


def test_known_deformation_is_drawn_where_it_goes(study):
    # 1.25 times as large along x and 4 mm towards anterior, on a coarser grid.
    grid, coarse = template_grid(8), template_grid(16)
    index = np.stack(np.indices(coarse.shape), axis=-1)
    world = index @ coarse.affine[:3, :3].T + coarse.affine[:3, 3]
    field = np.zeros((*coarse.shape, 3), np.float32)
    field[..., 0], field[..., 1] = 0.25 * world[..., 0], 4
    path = study.field("pmr", "sub-02", "sub-01")
    write_field(path, field, coarse)
    (axial, _, _) = PairReader(study, LABELS).views("pmr", "sub-02", "sub-01")
    np.testing.assert_allclose(axial.jacobian[2:-2, 2:-2], 1.25, atol=1e-3)
    rows, columns = axial.grid_lines - np.indices(axial.fixed.shape)
    np.testing.assert_allclose(rows[2:-2, 2:-2], 4 / grid.spacing[1], atol=1e-4)
    np.testing.assert_allclose(np.diff(columns[2:-2, 2:-2], axis=1), 0.25, atol=1e-4)


def test_uncertainty_and_levels_are_cut_where_the_image_is(study):
    shown = read_image(study.uncertainty("pmr", "sub-01", "sub-02")).data
    for view in views_of(study):
        assert view.uncertainty.shape == view.fixed.shape
        assert np.isin(view.uncertainty, shown).all()
        assert [lines.shape for lines in view.levels] == [(2, *view.fixed.shape)] * 2
        np.testing.assert_array_equal(*view.levels)
        start = np.indices(view.fixed.shape)
        half, whole = view.levels[0] - start, view.grid_lines - start
        # The whole lies on a coarser grid.
        assert np.abs(2 * half - whole).max() < 0.3 * np.abs(whole).max()


def test_a_map_of_another_grid_is_not_shown(study):
    path = study.uncertainty("pmr", "sub-01", "sub-02")
    content = path.read_bytes()
    write_volume(path, np.zeros((4, 4, 4)), np.eye(4), np.float32)
    try:
        assert all(view.uncertainty is None for view in views_of(study))
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize(
    ("high", "end"), [(0.0, 0.001), (0.013, 0.02), (0.5, 0.5), (3.7, 5), (7, 10)]
)
def test_the_scale_ends_at_a_round_number(study, high, end):
    views = [replace(v, uncertainty=np.full(v.fixed.shape, high)) for v in views_of(study)]
    assert pictures._scale(views) == pytest.approx(end)


def test_panels_are_cut_from_one_sheet(study):
    from PIL import Image

    with drawing():
        drawn = pictures.draw(views_of(study))
        plain = pictures.draw(views_of(study, "affine"))
    assert list(drawn.panels) == list(pictures.PANELS)
    assert list(plain.panels) == ["moving", "fixed", "warped"]
    assert drawn.scale > 0
    assert plain.scale is None
    with drawing():
        levels = pictures.draw_levels(views_of(study))
        assert pictures.draw_levels(views_of(study, "affine")) is None
    assert list(levels.panels) == ["level-1", "level-2"]
    assert levels.size == drawn.size
    for content in drawn.panels.values():
        image = Image.open(io.BytesIO(content))
        assert image.size == drawn.size
        assert np.asarray(image.convert("L")).std() > 5
