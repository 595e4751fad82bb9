"""A scan labelled by a folder of atlases: from the command to files."""

import numpy as np
import pytest

from pmrpipe.base.files import read_json, read_tsv, write_text
from pmrpipe.cli import main
from pmrpipe.images.volume import read_labels, write_volume
from pmrpipe.metrics.overlap import label_overlap

TABLE = "index\tname\tregion\tscored\n1\tLeft outer\tputamen\t1\n2\tRight inner\tputamen\t1\n"
QUICK = ("--brain-extracted", "--mm", "4", "--refine", "0", "--threads", "1", "--device", "cpu")


@pytest.fixture
def atlases(brain_dataset):
    write_text(brain_dataset / "desc-own_dseg.tsv", TABLE)
    return brain_dataset


def parcellate(scan, atlases, out, *more):
    words = ["parcellate", scan, "--atlases", atlases, "--output", out, *QUICK, *more]
    return main([str(word) for word in words])


def scan_of(atlases, number=1):
    folder = atlases / f"sub-{number:02d}" / "anat"
    return folder / f"sub-{number:02d}_T1w.nii.gz", folder / f"sub-{number:02d}_dseg.nii.gz"


def test_a_scan_gets_labels_volumes_and_a_page(atlases, tmp_path, cache):
    scan, truth = scan_of(atlases)
    out = tmp_path / "out"
    assert parcellate(scan, atlases, out, "--leave-out", "01", "05", "--cache", cache) == 0
    labels, expected = read_labels(out / "sub-01_dseg.nii.gz"), read_labels(truth)
    assert np.allclose(labels.affine, expected.affine)
    assert label_overlap(expected.data, labels.data).dice.min() > 0.9
    volumes = read_tsv(out / "volumes.tsv").set_index("name")
    voxel = abs(np.linalg.det(labels.affine[:3, :3]))
    assert volumes["volume_mm3"]["Left outer"] == pytest.approx(
        (labels.data == 1).sum() * voxel, rel=1e-5
    )
    # The scan is the template's brain, 1 % larger along each axis.
    assert 1.2e6 < volumes["icv_mm3"].iloc[0] < 2.2e6
    facts = read_json(out / "parcellate.json")
    assert [atlas["key"] for atlas in facts["atlases"]] == ["sub-02", "sub-03", "sub-04"]
    page = (out / "qc.html").read_text(encoding="utf-8")
    assert "Left outer" in page
    assert parcellate(scan, atlases, out, "--leave-out", "01", "--most", "2", "--cache", cache) == 0
    assert len(read_json(out / "parcellate.json")["atlases"]) == 2


def test_labels_that_the_table_does_not_list_are_told_and_count_as_none(
    atlases, tmp_path, cache, capsys
):
    write_text(atlases / "desc-own_dseg.tsv", "index\tname\n1\tLeft outer\n")
    scan, _ = scan_of(atlases)
    out = tmp_path / "out"
    assert parcellate(scan, atlases, out, "--leave-out", "01", "--most", "2", "--cache", cache) == 0
    line = "labels that the table does not list count as background: 2"
    assert line in capsys.readouterr().err
    assert any(line in warning for warning in read_json(out / "parcellate.json")["warnings"])
    assert set(np.unique(read_labels(out / "sub-01_dseg.nii.gz").data)) == {0, 1}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda root: (root / "desc-own_dseg.tsv").unlink(), "holds no label table"),
        (
            lambda root: write_text(root / "desc-own_dseg.tsv", "index\tname\n7\tother\n"),
            "has 2 labels that the table lacks, such as 1",
        ),
        (
            lambda root: write_volume(
                root / "sub-02/anat/sub-02_dseg.nii.gz",
                0 * read_labels(root / "sub-02/anat/sub-02_dseg.nii.gz").data,
                read_labels(root / "sub-02/anat/sub-02_dseg.nii.gz").affine,
            ),
            "sub-02_dseg.nii.gz: holds no label above 0; say --leave-out sub-02",
        ),
        (
            lambda root: (root / "sub-02/anat/sub-02_dseg.nii.gz").rename(
                root / "sub-02/anat/sub-02_desc-x_dseg.nii.gz"
            ),
            "holds files of several kinds (desc-: none, x)",
        ),
    ],
)
def test_what_is_wrong_with_atlases_is_one_line(atlases, tmp_path, cache, capsys, change, line):
    change(atlases)
    scan, _ = scan_of(atlases)
    out = tmp_path / "out"
    assert parcellate(scan, atlases, out, "--leave-out", "01", "--cache", cache) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("pmrpipe parcellate: error: ")
    assert line in error
    assert not out.exists()


def test_it_writes_over_no_input_and_over_nothing_of_others(atlases, tmp_path, capsys):
    scan, truth = scan_of(atlases)
    assert parcellate(scan, atlases, truth.parent) == 2
    assert "is an input" in capsys.readouterr().err
    write_text(tmp_path / "raw" / "dataset_description.json", '{"Name": "of others"}')
    assert parcellate(scan, atlases, tmp_path / "raw") == 2
    assert "raw: is a dataset that pmrpipe did not make" in capsys.readouterr().err
    other = tmp_path / "other"
    write_volume(other / "sub-01_dseg.nii.gz", np.ones((2, 2, 2), np.int16), np.eye(4))
    assert parcellate(scan, atlases, other) == 2
    assert "was not written by pmrpipe parcellate" in capsys.readouterr().err


def test_a_scan_is_no_atlas_of_its_own(atlases, tmp_path, capsys):
    """A copy under another name too."""
    scan, _ = scan_of(atlases)
    copy = tmp_path / "mine.nii.gz"
    copy.write_bytes(scan.read_bytes())
    for path in (scan, copy):
        assert parcellate(path, atlases, tmp_path / "out") == 2
        assert "is the atlas sub-01 itself" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (["99"], "--leave-out: names sub-99, which the dataset does not hold"),
        (["01", "02", "03", "04", "05"], "has no atlas left; shorten --leave-out"),
    ],
)
def test_who_is_left_out_is_told_in_words_of_the_command(atlases, tmp_path, capsys, names, line):
    scan, _ = scan_of(atlases)
    assert parcellate(scan, atlases, tmp_path / "out", "--leave-out", *names) == 2
    assert line in capsys.readouterr().err
