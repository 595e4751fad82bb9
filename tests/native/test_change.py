"""`change`: scans of one person as they come, from files to table, maps and page."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_json, read_tsv
from pmrpipe.images.resampling import resample, sample_points
from pmrpipe.images.transforms import read_field
from pmrpipe.images.volume import Volume, read_image, read_mask, write_volume
from pmrpipe.native.change import change
from pmrpipe.study.options.change import Change
from pmrpipe.study.options.two_scans import TwoScans

from ..helpers.rescans import Growth, ball, pose, rescan

GROWTH = Growth(12)


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scans of one person, in whom a ball has grown, with its mask in the first."""
    folder = tmp_path_factory.mktemp("person")
    for name, growth, move in (("01", None, pose(3, 2, 1)), ("02", GROWTH, pose(4, 3, 2))):
        scan, affine, _ = rescan(4.0, move, growth, seed=int(name))
        write_volume(folder / f"sub-A_ses-{name}_T1w.nii.gz", scan.data, scan.affine)
        if growth is None:
            points = sample_points(scan.grid, np.linalg.inv(affine))
            mask = resample(Volume(ball(scan.grid), scan.affine), points, "nearest")
            write_volume(folder / "ball.nii.gz", mask, scan.affine)
    return folder


@pytest.fixture(scope="module")
def out(person: Path, cache: Path) -> Path:
    options = Change(
        labels=person / "ball.nii.gz", lesion=person / "ball.nii.gz", noise=1, finest_mm=4
    )
    work = TwoScans(mm=4, brain_extracted=True, cache=cache, threads=1)
    scans = [person / f"sub-A_ses-{name}_T1w.nii.gz" for name in ("01", "02")]
    change(scans, options, work, person / "out")
    return person / "out"


def test_the_table_tells_what_grew_and_how_sure_that_is(out: Path) -> None:
    table = read_tsv(out / "change.tsv").set_index("name")
    assert list(table.columns) == [
        "label", "volume_first", "volume_second", "percent", "noise_percent", "scan",
    ]  # fmt: skip
    grown = table.loc["lesion"]
    assert 6 < grown["percent"] < 18
    assert abs(table.loc["brain", "percent"]) < 2
    assert grown["volume_first"] == pytest.approx(4 / 3 * np.pi * GROWTH.radius**3, rel=0.05)
    assert grown["volume_second"] == pytest.approx(
        grown["volume_first"] * (1 + grown["percent"] / 100), rel=1e-3
    )
    assert table.loc["label 1", "percent"] == grown["percent"]
    assert (table["noise_percent"] >= 0).all()


def test_the_transforms_are_inverse_and_the_maps_lie_on_the_first_scan(
    out: Path, person: Path
) -> None:
    # As of `register`: the name says whose image it brings where, and so whose grid it lies on.
    there, own = read_field(out / "from-scan2_to-first_mode-image_xfm.nii.gz")
    back, other = read_field(out / "from-first_to-scan2_mode-image_xfm.nii.gz")
    first = read_image(person / "sub-A_ses-01_T1w.nii.gz")
    second = read_image(person / "sub-A_ses-02_T1w.nii.gz")
    assert (own, other) == (first.grid, second.grid)
    brought = resample(second, sample_points(own, field=(there, own)))
    alike = [np.corrcoef(one.ravel(), first.data.ravel())[0, 1] for one in (brought, second.data)]
    assert alike[0] > max(0.95, alike[1])
    moved = sample_points(own, field=(there, own))
    parts = [resample(Volume(back[..., c], other.affine), moved) for c in range(3)]
    missed = np.linalg.norm(there + np.stack(parts, -1), axis=-1)
    assert np.median(missed[first.data > 0]) < 0.2
    logj = read_image(out / "scan-2_space-first_desc-logjacobian_map.nii.gz")
    assert logj.grid == first.grid
    inside = read_mask(person / "ball.nii.gz").data
    assert logj.data[inside].mean() > 0.05 > abs(logj.data[(first.data > 0) & ~inside].mean())


def test_the_lesion_is_put_where_the_second_scan_has_it(out: Path, person: Path) -> None:
    lesion = read_mask(out / "space-scan2_desc-lesion_mask.nii.gz")
    assert lesion.grid == read_image(person / "sub-A_ses-02_T1w.nii.gz").grid
    first = read_mask(person / "ball.nii.gz")
    assert 1.03 < lesion.data.sum() / first.data.sum() < 1.25


def test_the_page_flickers_and_stands_alone(out: Path) -> None:
    page = (out / "qc.html").read_text(encoding="utf-8")
    pictures = [
        Image.open(io.BytesIO(base64.b64decode(text)))
        for text in re.findall('data:image/png;base64,([^"]+)', page)
    ]
    assert len(pictures) == 6
    assert len({picture.size for picture in pictures}) == 1  # else flickering would jump
    assert 'src="http' not in page
    assert read_json(out / "change.json")["scans"] == [
        "sub-A_ses-01_T1w.nii.gz", "sub-A_ses-02_T1w.nii.gz",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["sub-A_ses-01_T1w.nii.gz"], "one scan alone"),
        (["sub-A_ses-01_T1w.nii.gz"] * 2, "given twice"),
        (["sub-A_ses-01_T1w.nii.gz", "sub-B_ses-02_T1w.nii.gz"], "another person"),
        (["sub-A_ses-01_T1w.nii.gz", "sub-A_ses-02_T2w.nii.gz"], "another contrast"),
    ],
)
def test_scans_that_cannot_be_compared_are_refused(
    person: Path, names: list[str], problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        change([person / name for name in names], Change(), TwoScans())


@pytest.mark.parametrize("which", ["labels", "lesion"])
def test_labels_and_a_lesion_lie_on_the_first_scan_s_grid(
    person: Path, tmp_path: Path, which: str
) -> None:
    mask = read_mask(person / "ball.nii.gz")
    write_volume(tmp_path / "cut.nii.gz", mask.data[1:], mask.affine)
    scans = [person / f"sub-A_ses-{name}_T1w.nii.gz" for name in ("01", "02")]
    with pytest.raises(InputError, match="shape"):
        change(scans, Change(**{which: tmp_path / "cut.nii.gz"}), TwoScans())


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ({"labels": "sub-A_ses-01_T1w.nii.gz"}, "is the scan itself"),
        ({"label_table": "embedded"}, "--label-table: names the labels of --labels"),
        ({"labels": "ball.nii.gz", "label_table": "embedded"}, "has 1 labels that embedded lacks"),
    ],
)
def test_labels_and_their_table_belong_to_each_other(
    person: Path, words: dict[str, str], problem: str
) -> None:
    labels = {"labels": person / words["labels"]} if "labels" in words else {}
    scans = [person / f"sub-A_ses-{name}_T1w.nii.gz" for name in ("01", "02")]
    with pytest.raises(InputError, match=problem):
        change(scans, Change(**{**words, **labels}), TwoScans())


def test_a_folder_of_others_is_left_alone(person: Path, tmp_path: Path) -> None:
    (tmp_path / "change.tsv").write_text("mine")
    scans = [person / f"sub-A_ses-{name}_T1w.nii.gz" for name in ("01", "02")]
    with pytest.raises(InputError, match="not written by pmrpipe change"):
        change(scans, Change(), TwoScans(), tmp_path)
    assert (tmp_path / "change.tsv").read_text() == "mine"
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "dataset_description.json").write_text('{"Name": "of others"}')
    with pytest.raises(InputError, match="raw: is a dataset that pmrpipe did not make"):
        change(scans, Change(), TwoScans(), tmp_path / "raw")


def test_without_repetitions_nothing_is_said_of_noise(
    person: Path, cache: Path, tmp_path: Path
) -> None:
    work = TwoScans(mm=4, brain_extracted=True, cache=cache, threads=1)
    scans = [person / f"sub-A_ses-{name}_T1w.nii.gz" for name in ("01", "02")]
    change(scans, Change(noise=0, finest_mm=8, steps=1), work, tmp_path)
    assert read_tsv(tmp_path / "change.tsv")["noise_percent"].isna().all()
    assert "without any change" not in (tmp_path / "qc.html").read_text(encoding="utf-8")
    assert not list(tmp_path.glob("*noise*"))
