"""The verb `apply` against ants.apply_transforms, and points on known transforms."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from pmrpipe.cli import main
from pmrpipe.images.transforms import read_field, write_affine, write_field
from pmrpipe.images.volume import Grid, read_image, write_volume

INTERPOLATOR = {
    "linear": "linear",
    "nearest": "nearestNeighbor",
    "genericLabel": "genericLabel",
    "bspline": "bSpline",
}


def turned(shape, degrees, steps, flip=1.0) -> np.ndarray:
    affine = np.eye(4)
    turn = Rotation.from_euler("zyx", degrees, degrees=True).as_matrix()
    affine[:3, :3] = turn @ np.diag(steps) @ np.diag([flip, 1, 1])
    affine[:3, 3] = -affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
    return affine


@pytest.fixture
def case(tmp_path):
    """A flipped, oblique scan; a plain reference; affine, field and affine on the way."""
    rng = np.random.default_rng(3)
    shape, reference = (30, 26, 28), (25, 27, 23)
    data = gaussian_filter(rng.normal(size=shape), 2)
    data = (data - data.min()) / np.ptp(data)
    affine = turned(shape, (20, 8, -5), (1.0, 1.2, 0.9), flip=-1)
    write_volume(tmp_path / "moving.nii.gz", data, affine, np.float32)
    write_volume(tmp_path / "dseg.nii.gz", (data * 6).astype(np.int32), affine)
    grid = Grid(reference, turned(reference, (0, 0, 0), (1.0, 1.1, 1.2)))
    write_volume(tmp_path / "fixed.nii.gz", rng.random(reference), grid.affine)
    first, last = turned(shape, (6, 2, 3), (1.05, 0.95, 1.0)), turned(shape, (-9, 4, 1), (1, 1, 1))
    first[:3, 3], last[:3, 3] = (1, -2, 0.5), (0, 1.5, -1)
    write_affine(tmp_path / "first.mat", first)
    write_affine(tmp_path / "last.mat", last)
    own = Grid((20, 22, 24), turned((20, 22, 24), (3, 0, 7), (1.5, 1.5, 1.5)))
    noise = gaussian_filter(rng.normal(size=(*own.shape, 3)), (3, 3, 3, 0))
    write_field(tmp_path / "field.nii.gz", 2.5 * noise / np.abs(noise).max(), own)
    return tmp_path


def apply(case, *arguments):
    return main(["apply", *(str(a) for a in arguments)])


CHAINS = {
    "affine": ["last.mat"],
    "inverse": ["[first.mat,1]"],
    "all": ["[first.mat,1]", "field.nii.gz", "last.mat"],
}


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("way", INTERPOLATOR)
def test_images_as_ants_applies_them(case, monkeypatch, chain, way):
    import ants

    monkeypatch.chdir(case)
    name = "dseg.nii.gz" if way in ("nearest", "genericLabel") else "moving.nii.gz"
    links = CHAINS[chain]
    out, fixed = case / "out.nii.gz", "fixed.nii.gz"
    arguments = ("--image", name, "--reference", fixed, "--output", out, "--interpolation", way)
    assert apply(case, *arguments, "--transforms", *links) == 0
    theirs = ants.apply_transforms(
        ants.image_read(fixed),
        ants.image_read(name),
        [link.strip("[]").split(",")[0] for link in links],
        interpolator=INTERPOLATOR[way],
        whichtoinvert=[link.startswith("[") for link in links],
    ).numpy()
    ours = read_image(out).data
    if way in ("nearest", "genericLabel"):
        assert np.mean(ours != np.rint(theirs)) <= 1e-3
    else:
        # At the outer face of the moving image the value jumps to 0.
        assert np.mean(np.abs(ours - theirs) > 1e-3) <= 2e-3


def test_nearest_keeps_the_values_of_an_image(case):
    arguments = ("--image", case / "moving.nii.gz", "--reference", case / "fixed.nii.gz")
    more = ("--transforms", case / "last.mat", "--interpolation", "nearest")
    assert apply(case, *arguments, *more, "--output", case / "out.nii.gz") == 0
    labels = np.unique(read_image(case / "out.nii.gz").data)
    assert np.isin(labels, [0, *np.unique(read_image(case / "moving.nii.gz").data)]).all()


@pytest.mark.parametrize("frame", ["RAS", "LPS"])
def test_points_go_from_fixed_to_moving(case, frame):
    """A bright voxel of the moving scan is found at the point that is carried onto it."""
    flip = np.array([1.0, 1, 1] if frame == "RAS" else [-1.0, -1, 1])
    grid = Grid((30, 30, 30), turned((30, 30, 30), (0, 0, 0), (1, 1, 1)))
    field = np.zeros((*grid.shape, 3), np.float32)
    field[...] = (3.0, -2.0, 1.0)
    write_field(case / "shift.nii.gz", field, grid)
    table = pd.DataFrame(flip * [[0.5, 1, 2], [-4, 3, 0]], columns=["x", "y", "z"])
    table.assign(label=["a", "07"]).to_csv(case / "p.csv", index=False)
    arguments = ("--points", case / "p.csv", "--transforms", case / "shift.nii.gz")
    assert apply(case, *arguments, "--frame", frame, "--output", case / "q.tsv") == 0
    moved = pd.read_csv(case / "q.tsv", sep="\t", dtype={"label": str})
    assert moved["label"].tolist() == ["a", "07"]
    expected = flip * [[3.5, -1, 3], [-1, 1, 1]]
    np.testing.assert_allclose(moved[["x", "y", "z"]], expected, atol=1e-5)


def test_points_as_ants_moves_them(case, monkeypatch):
    import ants

    monkeypatch.chdir(case)
    points = pd.DataFrame(np.random.default_rng(0).uniform(-9, 9, (20, 3)), columns=list("xyz"))
    points.to_csv("p.csv", index=False)
    arguments = ("--points", "p.csv", "--output", "q.csv", "--frame", "LPS")
    assert apply(case, *arguments, "--transforms", *CHAINS["all"]) == 0
    links = [link.strip("[]").split(",")[0] for link in CHAINS["all"]]
    theirs = ants.apply_transforms_to_points(3, points, links, whichtoinvert=[True, False, False])
    np.testing.assert_allclose(pd.read_csv("q.csv"), theirs[list("xyz")], atol=1e-3)


IMAGE = ["--image", "moving.nii.gz", "--reference", "fixed.nii.gz"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--image", "moving.nii.gz", "--transforms", "last.mat"], "--reference: is missing"),
        (
            [*IMAGE, "--transforms", "[field.nii.gz,1]"],
            "field.nii.gz: is a displacement field",
        ),
        (["--points", "no.csv", "--transforms", "last.mat"], "no.csv: no such file"),
        (["--points", "bad.csv", "--transforms", "last.mat"], "bad.csv: line 3"),
        (["--points", "empty.csv", "--transforms", "last.mat"], "empty.csv: has no column z"),
        (
            [*IMAGE, "--transforms", "last.mat", "--interpolation", "oneHot"],
            "moving.nii.gz: holds values that are no integers",
        ),
    ],
)
def test_bad_input_ends_in_one_line(case, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(case)
    (case / "bad.csv").write_text("x,y,z\n1,2,3\n1,two,3\n")
    (case / "empty.csv").write_text("x,y\n1,2\n")
    assert apply(case, *arguments, "--output", "out.nii.gz") == 2
    message = capsys.readouterr().err
    assert said in message
    assert message.count("\n") == 1
    assert not (case / "out.nii.gz").exists()


@pytest.mark.parametrize("name", ["out.txt", "out", "out.mgz", "out.nii.gz.zip"])
def test_an_output_that_is_no_nifti_by_its_name_is_refused(case, monkeypatch, capsys, name):
    monkeypatch.chdir(case)
    before = sorted(case.iterdir())
    assert apply(case, *IMAGE, "--transforms", "last.mat", "--output", name) == 2
    assert f"{name}: is no name of an image that is written; end it by .nii.gz" in (
        capsys.readouterr().err
    )
    assert sorted(case.iterdir()) == before


def test_a_label_map_by_its_name_is_not_mixed_in_silence(case, monkeypatch, capsys):
    monkeypatch.chdir(case)
    shutil.copy("moving.nii.gz", "a_dseg.nii.gz")
    words = ["--image", "a_dseg.nii.gz", *IMAGE[2:], "--transforms", "last.mat", "--output"]
    assert apply(case, *words, "mixed.nii.gz") == 0
    assert "warning: a_dseg.nii.gz is a label map by its name" in capsys.readouterr().err
    assert apply(case, *words, "kept.nii.gz", "--interpolation", "nearest") == 0
    assert "warning" not in capsys.readouterr().err


def test_a_chain_is_written_as_one_field(case):
    from pmrpipe.images.resampling import composite_field
    from pmrpipe.images.transforms import read_transform

    grid = read_image(case / "fixed.nii.gz").grid
    links = [read_transform(case / name) for name in ("field.nii.gz", "last.mat")]
    write_field(case / "both.nii.gz", composite_field(grid, links), grid)
    assert read_field(case / "both.nii.gz")[1] == grid
    for name, chain in (("a", ["field.nii.gz", "last.mat"]), ("b", ["both.nii.gz"])):
        arguments = ("--image", case / "moving.nii.gz", "--reference", case / "fixed.nii.gz")
        paths = [case / link for link in chain]
        assert (
            apply(case, *arguments, "--transforms", *paths, "--output", case / f"{name}.nii") == 0
        )
    one, other = (read_image(case / f"{name}.nii").data for name in "ab")
    assert np.abs(one - other).max() < 1e-3
