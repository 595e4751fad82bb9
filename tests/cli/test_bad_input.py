"""Each bad input ends a verb with exit code 2 and one line that names the file; nothing is left."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from pmrpipe.cli import main
from tests.helpers.bad_scans import AFFINE, CASES, SHAPE, brain, header_with, saved


def refused(capsys: pytest.CaptureFixture, path: Path, *words: object) -> str:
    """Run a verb that must refuse `path`; the one line that it printed."""
    assert main([str(word) for word in words]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert str(path) in line
    return line


@pytest.mark.parametrize("case", CASES)
def test_a_bad_scan(case: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path, out = tmp_path / "sub-01_T1w.nii.gz", tmp_path / "out"
    CASES[case](path)
    outputs = out / "mask.nii.gz", out / "brain.nii.gz"
    refused(capsys, path, "brain", path, *outputs, "--state", "brain", "--method", "nonzero")
    assert not list(out.glob("*"))


def test_one_volume_of_four_dimensions_is_squeezed(tmp_path: Path) -> None:
    path = saved(tmp_path / "sub-01_T1w.nii.gz", brain()[..., None])
    outputs = tmp_path / "mask.nii.gz", tmp_path / "brain.nii.gz"
    words = ("brain", path, *outputs, "--state", "brain", "--method", "nonzero")
    assert main([str(word) for word in words]) == 0
    assert nib.load(outputs[0]).shape == SHAPE


def test_a_given_orientation_mends_a_header_without_one(tmp_path: Path) -> None:
    path = tmp_path / "sub-01_T1w.nii.gz"
    header_with(path, sform_code=0, qform_code=0)
    outputs = tmp_path / "mask.nii.gz", tmp_path / "brain.nii.gz"
    words = ("brain", path, *outputs, "--state", "brain", "--method", "nonzero")
    assert main([*map(str, words), "--orientation", "LAS"]) == 0
    assert nib.aff2axcodes(nib.load(outputs[1]).affine) == ("L", "A", "S")


@pytest.fixture
def labelled(tmp_path: Path) -> tuple[list[str], Path]:
    """Arguments of `labels` but for the map, and where it writes."""
    from pmrpipe.images.transforms import write_affine

    t1w = saved(tmp_path / "sub-01_T1w.nii.gz", brain())
    write_affine(tmp_path / "xfm.mat", np.eye(4))
    out = tmp_path / "out" / "dseg.nii.gz"
    return [str(t1w), str(tmp_path / "xfm.mat"), str(t1w), str(out)], out


@pytest.mark.parametrize(
    ("data", "affine", "words"),
    [
        (np.ones((4, 4, 4), np.int16), AFFINE, "shape"),
        (np.ones(SHAPE, np.int16), np.diag([14.0, 15, 15, 1]), "affine"),
    ],
    ids=["shape", "affine"],
)
def test_a_label_map_on_another_grid(labelled, tmp_path, capsys, data, affine, words) -> None:
    given, out = labelled
    path = saved(tmp_path / "sub-01_dseg.nii.gz", data, affine)
    assert words in refused(capsys, path, "labels", path, *given)
    assert not out.exists()


def test_a_label_that_the_table_lacks_is_a_warning(labelled, tmp_path, capsys) -> None:
    given, out = labelled
    table = tmp_path / "labels.tsv"
    table.write_text("index\tname\tregion\tscored\n1\tgrey\tfrontal\t1\n")
    data = (brain() > 0).astype(np.int16)
    data[4, 4, 4] = 9
    path = saved(tmp_path / "sub-01_dseg.nii.gz", data)
    assert main(["labels", str(path), *given, "--table", str(table)]) == 0
    said = capsys.readouterr().err
    assert "warning" in said
    assert "[9]" in said
    assert "not scored" in said
    assert out.exists()


def test_a_table_of_other_labels_is_refused(labelled, tmp_path, capsys) -> None:
    given, out = labelled
    path = saved(tmp_path / "sub-01_dseg.nii.gz", 5 * (brain() > 0).astype(np.int16))
    words = refused(capsys, path, "labels", path, *given, "--table", "mindboggle101")
    assert "has no label that mindboggle101 lists, but 1 others, such as 5" in words
    assert not out.exists()


@pytest.mark.parametrize(
    "words",
    [
        ["register-pairs", "results", "list.tsv", "--method", "syn", "--pairs", "a_to_b"],
        ["register-levels", "results", "--method", "pmr", "--weights", "w"],
        ["train", "arrays", "out", "--method", "pmr", "--train", "a", "b"],
    ],
    ids=lambda words: words[0],
)
def test_a_gpu_that_is_not_there(words: list[str], tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")
    assert "no GPU is visible; use cpu or auto" in refused(
        capsys, Path("device"), *words, "--device", "cuda"
    )
    assert not list(tmp_path.iterdir())


def test_a_number_outside_its_range(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused(capsys, Path("--threads"), "affine", *"abcd", "--subject", "x", "--threads", -2)
    refused(capsys, Path("--mm"), "space", "a.nii.gz", "b.nii.gz", "--mm", 0)
    refused(capsys, Path("--refine"), "register", "a", "b", "--output", "c", "--refine", -5)
    assert not list(tmp_path.iterdir())


def test_the_listing_names_every_verb_in_one_group() -> None:
    from pmrpipe.cli import GROUPS, VERBS, _parser

    assert sum(map(len, GROUPS.values())) == len(VERBS)
    text = _parser([])[0].format_help()
    assert all(f"\n  {verb} " in text for verb in VERBS)


def test_weights_that_are_not_there_cannot_be_tuned(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")
    words = ["register-pairs", tmp_path, tmp_path / "out.tsv", "--pairs", "sub-01_to_sub-02"]
    words += ["--method", "affine", "--finetune", 5]
    assert "has no weights to tune" in refused(capsys, Path("affine"), *words)
    line = refused(capsys, Path("--finetune"), *words, "--refine", 5)
    assert "both optimise each pair" in line
    assert not list(tmp_path.iterdir())
