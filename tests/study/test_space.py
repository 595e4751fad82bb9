"""Spaces: the shipped one, and those of one's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.images.volume import Grid, Volume, write_volume
from pmrpipe.study.space import DEFAULT_SPACE, Space
from pmrpipe.study.space_file import shipped_names

MNI = Space.load()


def assert_refused(action: Callable[[], object], *words: str) -> None:
    with pytest.raises(InputError) as refused:
        action()
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize(
    ("mm", "shape"), [(1, (160, 192, 176)), (2, (80, 96, 88)), (4, (40, 48, 44))]
)
def test_grids_share_one_field_of_view(mm: float, shape: tuple[int, int, int]) -> None:
    grid, full = MNI.grid(mm), MNI.grid(1)
    assert grid.shape == shape
    corner = np.array([-0.5, -0.5, -0.5, 1])
    np.testing.assert_allclose(grid.affine @ corner, full.affine @ corner)
    far = np.array([*(np.array(shape) - 0.5), 1])
    np.testing.assert_allclose(grid.affine @ far, full.affine @ [159.5, 191.5, 175.5, 1])


def test_the_brain_lies_in_the_middle_with_margin() -> None:
    brain = MNI.brain(1)
    inside = np.argwhere(brain.data > 0.05)
    margin = np.minimum(inside.min(0), np.array(brain.shape) - 1 - inside.max(0))
    assert (margin >= 5).all()


def test_grids_compare_by_value() -> None:
    assert MNI.grid(2) == Grid((80, 96, 88), MNI.grid(2).affine.copy())
    assert MNI.grid(2) != MNI.grid(4)


def test_the_default_space_ships_and_names_its_paper() -> None:
    assert DEFAULT_SPACE in shipped_names()
    assert (MNI.name, MNI.key) == (DEFAULT_SPACE, f"tpl-{DEFAULT_SPACE}")
    assert "Fonov" in MNI.citation
    assert MNI.own_files == []


@pytest.mark.parametrize("name", shipped_names())
def test_every_shipped_yaml_bears_its_own_name(name: str) -> None:
    assert Space.load(name).name == name


def test_tissues_are_probabilities_inside_the_brain() -> None:
    gm, wm = (MNI.tissue(which, 4).data for which in ("gm", "wm"))
    assert gm.max() <= 1
    inside = MNI.mask(4).data
    assert 0.8 < (gm + wm)[inside].mean() <= 1.01
    assert (gm + wm)[~inside].mean() < 0.01


# -- of one's own ------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The brain of MNI at 2 mm, moved by (3, -4, 5) mm, with integers that no range explains."""
    brain = MNI.brain(2)
    affine = brain.affine.copy()
    affine[:3, 3] += (3, -4, 5)
    path = tmp_path_factory.mktemp("own") / "tpl-Moved_desc-brain_T1w.nii.gz"
    write_volume(path, np.rint(brain.data * 4321).astype(np.int16), affine)
    return path


def test_the_image_of_a_brain_is_a_space(template: Path) -> None:
    space = Space.load(template)
    assert (space.name, space.citation) == ("Moved", "")
    assert space.own_files == [template]
    moved, plain = space.brain(4), MNI.brain(4)
    assert 0.95 < moved.data.max() <= 1
    inside = [
        np.argwhere(v.data > 0.3) @ v.affine[:3, :3].T + v.affine[:3, 3] for v in (moved, plain)
    ]
    shift = inside[0].mean(0) - inside[1].mean(0)
    np.testing.assert_allclose(shift, (3, -4, 5), atol=0.1)


def test_a_grid_of_ones_own_has_the_brain_in_its_middle(template: Path) -> None:
    space = Space.load(template)
    grid, brain = space.grid(), space.brain()
    assert all(n % 16 == 0 for n in grid.shape)
    np.testing.assert_array_equal(grid.affine[:3, :3], np.eye(3))
    inside = np.argwhere(brain.data > 0.05)
    before, after = inside.min(0), np.array(grid.shape) - 1 - inside.max(0)
    # The box is that of voxels of 2 mm.
    assert (np.minimum(before, after) >= 4).all()
    assert (np.abs(before - after) <= 3).all()
    assert (np.minimum(before, after) < 16).all()


def test_the_shape_of_the_mni_grid_is_what_would_be_derived(tmp_path: Path) -> None:
    space = Space.load(own(tmp_path, brain=str(MNI.file("brain"))))
    assert space.grid().shape == MNI.grid().shape
    np.testing.assert_allclose(space.grid().affine, MNI.grid().affine, atol=1.5)


def own(folder: Path, text: str = "", **files: str) -> Path:
    path = folder / "mine.yaml"
    names = ", ".join(f"{k}: {v}" for k, v in files.items())
    path.write_text(f"name: Mine\nfiles: {{{names}}}\n{text}", encoding="utf-8")
    return path


def head_and_mask(folder: Path, turned: bool = False) -> Volume:
    """A head of constant cover around the brain of MNI at 2 mm, and the brain's mask."""
    brain = MNI.brain(2)
    mask = brain.data > 0.05
    head = np.where(mask, brain.data, np.float32(0.6)) * 250
    affine = brain.affine
    if turned:  # voxel axes along posterior, left, superior
        order, flip = (1, 0, 2), np.diag([-1.0, -1, 1, 1])
        head, mask = (v.transpose(order)[::-1, ::-1] for v in (head, mask))
        swap = np.eye(4)[:, [1, 0, 2, 3]]
        flip[0, 3], flip[1, 3] = head.shape[0] - 1, head.shape[1] - 1
        affine = brain.affine @ swap @ flip
    write_volume(folder / "head.nii.gz", head.astype(np.float32), affine)
    write_volume(folder / "mask.nii.gz", mask.astype(np.uint8), affine)
    return brain


@pytest.mark.parametrize("turned", [False, True])
def test_a_head_is_cut_to_its_mask_whatever_its_voxel_axes(tmp_path: Path, turned: bool) -> None:
    head_and_mask(tmp_path, turned)
    text = "scale: 250\ngrid: {shape: [160, 192, 176], origin: [-79.5, -112.5, -82.5]}"
    space = Space.load(own(tmp_path, text, head="head.nii.gz", mask="mask.nii.gz"))
    brain, mask = space.brain(4), space.mask(4)
    assert brain.grid == MNI.grid(4)
    edges = MNI.brain(2).data > 0.05
    assert abs(mask.data.sum() * 8 / edges.sum() - 1) < 0.02
    # Both went through 2 mm before; interpolated a second time they differ at edges alone.
    assert np.abs(brain.data - MNI.brain(4).data)[mask.data].mean() < 0.05
    assert brain.data[~mask.data].mean() < 0.01


def test_a_whole_head_is_no_brain(tmp_path: Path) -> None:
    head_and_mask(tmp_path)
    space = Space.load(tmp_path / "head.nii.gz")
    assert_refused(lambda: space.brain(4), "head.nii.gz", "litres", "names its mask")


def test_a_mask_of_another_grid_is_refused(tmp_path: Path) -> None:
    head_and_mask(tmp_path)
    other = MNI.mask(4)
    write_volume(tmp_path / "mask.nii.gz", other.data, other.affine)
    space = Space.load(own(tmp_path, head="head.nii.gz", mask="mask.nii.gz"))
    assert_refused(lambda: space.grid(), "mask.nii.gz", "shape", "same voxel grid")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: Mine\nfiles: {head: a.nii}", ("files", "the mask of its brain")),
        ("name: my space\nfiles: {brain: a.nii}", ("`name`",)),
        ("name: Mine\nfiles: {brain: a.nii}\nscale: 0", ("`scale`",)),
        ("name: Mine\nfiles: {brain: a.nii}\nmm: 2", ("unknown key `mm`",)),
        (f"name: {DEFAULT_SPACE}\nfiles: {{brain: a.nii}}", ("comes with pmrpipe", "`name`")),
        ("name: [", ("neither an image nor readable YAML",)),
        ("text", ("(top level)",)),
    ],
    ids=["no-mask", "name", "scale", "unknown", "shipped-name", "no-yaml", "no-mapping"],
)
def test_a_bad_yaml_is_refused_by_its_key(tmp_path: Path, text: str, words: tuple) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(text, encoding="utf-8")
    assert_refused(lambda: Space.load(path), "space.yaml", *words)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    assert_refused(lambda: Space.load("MNI305"), "MNI305", "no space and no file", DEFAULT_SPACE)


def test_a_missing_file_is_named_with_its_space(tmp_path: Path) -> None:
    space = Space.load(own(tmp_path, brain="gone.nii.gz"))
    assert_refused(lambda: space.own_files, "gone.nii.gz", "brain of space Mine")


def test_a_tissue_that_a_space_lacks_is_said(template: Path) -> None:
    with pytest.raises(InputError, match="space Moved: has no gm"):
        Space.load(template).tissue("gm")


def test_the_digest_hangs_on_template_and_grid_but_not_on_the_citation(tmp_path: Path) -> None:
    plain = Space.load(own(tmp_path, brain="a.nii")).digest
    assert Space.load(own(tmp_path, "citation: Me (2026)", brain="a.nii")).digest == plain
    assert Space.load(own(tmp_path, "scale: 2", brain="a.nii")).digest != plain
