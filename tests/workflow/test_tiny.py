"""The whole chain on four simulated heads: results, reruns, reproducibility."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from pmrpipe.base.files import read_tsv, sha256
from pmrpipe.images.transforms import read_field
from pmrpipe.images.volume import read_image
from pmrpipe.study.keys import pair_name
from pmrpipe.study.paths import Results

from .conftest import REPO, Workflow, copy_workflow, digests

TINY = ("--configfile", "config/tiny.yaml")
METHODS = ("affine", "syn", "pmr", "pmr-cc")
PAIRS = [("sub-03", "sub-04"), ("sub-04", "sub-03")]


@pytest.fixture
def results(tiny: Workflow) -> Results:
    return Results(tiny.folder / "results" / "tiny", 4.0)


@contextmanager
def changed(path: Path, before: str, after: str) -> Iterator[None]:
    """A file with one text replaced, for as long as the block lasts; its date is kept."""
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(text, encoding="utf-8")


def test_every_promised_file_is_there(results: Results) -> None:
    for key in ("sub-01", "sub-02", "sub-03", "sub-04"):
        made = (results.mask, results.brain, results.resampled, results.affine, results.preproc,
                results.dseg)  # fmt: skip
        for path in made:
            assert path(key).stat().st_size > 0
            assert path(key).with_name(path(key).name.split(".")[0] + ".json").exists()
        assert results.qc_page(key).exists()
    for method in METHODS:
        for pair in PAIRS:
            assert results.warped(method, *pair).exists()
            assert results.warped_dseg(method, *pair).exists()
            assert results.field(method, *pair).exists() is (method != "affine")
    for path in (results.cohort, results.pairs, results.qc, results.report, results.description):
        assert path.exists()
    assert not list(results.root.rglob(".tmp-*"))


def test_the_bids_validator_finds_no_error(results: Results) -> None:
    pytest.importorskip("bids_validator_deno")
    command = [Path(sys.executable).with_name("bids-validator-deno"), results.root, "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []
    assert json.loads(done.stdout)["summary"]["subjects"]


def test_ancpbids_finds_the_files_by_their_entities(results: Results) -> None:
    layout = pytest.importorskip("ancpbids").BIDSLayout(str(results.root))
    assert layout.get_subjects() == ["01", "02", "03", "04"]

    def names(**entities: str) -> set[str]:
        paths = layout.get(subject="03", extension=".nii.gz", return_type="filename", **entities)
        return {str(path) for path in paths}

    assert names(suffix="T1w", desc="preproc") == {str(results.preproc("sub-03"))}
    assert names(suffix="dseg") == {str(results.dseg("sub-03"))}
    assert str(results.mask("sub-03")) in names(suffix="mask")


def test_provenance_tells_how_it_came_about(tiny: Workflow, results: Results) -> None:
    content = json.loads((results.root / "provenance.json").read_text(encoding="utf-8"))
    assert "config/tiny.yaml" in content["runs"][0]["command"]
    assert content["runs"][0]["versions"]["torch"]
    assert content["configuration"]["grid_mm"] == 4
    (t1w,) = tiny.folder.glob("data/*/sub-03/anat/sub-03_T1w.nii.gz")
    assert content["inputs"]["sub-03"][t1w.name] == sha256(t1w)
    assert {"brain", "train", "register", "score"} <= {row["stage"] for row in content["stages"]}


def test_summary_has_every_method_and_region(results: Results) -> None:
    table = read_tsv(results.summary)
    assert list(dict.fromkeys(table["method"])) == list(METHODS)
    assert len(table) == len(METHODS) * 8
    assert table["dice_mean"].between(0.05, 1).all()
    whole = table[table["region"] == "all"].set_index("method")
    assert whole.loc["syn", "dice_mean"] > whole.loc["affine", "dice_mean"]
    assert (whole["pairs"] == 2).all()
    assert (whole.loc["affine", ["folding_percent", "ndv_percent", "sdlogj"]] == 0).all()


def test_whitened_images_and_template_share_a_grid(results: Results) -> None:
    grid = read_image(results.template).grid
    for key in ("sub-01", "sub-04"):
        image = read_image(results.preproc(key))
        assert image.grid == grid
        assert image.data.min() == 0
        assert image.data.max() <= 1


def test_field_reproduces_the_warped_image_in_ants(results: Results) -> None:
    import ants

    for method in ("syn", "pmr"):
        moving, fixed = PAIRS[0]
        target, source = (ants.image_read(str(results.preproc(key))) for key in (fixed, moving))
        theirs = ants.apply_transforms(target, source, [str(results.field(method, moving, fixed))])
        ours = read_image(results.warped(method, moving, fixed)).data
        inside = tuple(slice(2, -2) for _ in range(3))
        np.testing.assert_allclose(theirs.numpy()[inside], ours[inside], atol=1e-3)


def test_networks_deform_and_do_not_fold(results: Results) -> None:
    for method in ("pmr", "pmr-cc"):
        field, _ = read_field(results.field(method, *PAIRS[0]))
        assert 0.05 < np.abs(field).max() < 40
        pairs = read_tsv(results.score(method) / "by_pair.tsv")
        assert (pairs["folding_percent"] < 0.1).all()


def test_model_says_how_it_was_trained(results: Results) -> None:
    model = json.loads((results.training("pmr") / "model.json").read_text())
    assert model["method"] == "pmr"
    assert model["train"] == ["sub-01", "sub-02"]
    assert model["steps"] == 20
    history = read_tsv(results.training("pmr") / "history.tsv")
    assert history["total"].iloc[-1] < history["total"].iloc[0]
    assert all(f"feature_norm_{level}" in history for level in (1, 2, 3, 4))


def test_report_stands_alone(results: Results) -> None:
    page = results.report.read_text(encoding="utf-8")
    assert "http-equiv" not in page
    assert 'src="http' not in page
    assert 'href="http' not in page or "<link" not in page
    assert str(results.root.parent.parent) not in page
    for method in METHODS:
        assert method in page


def test_a_second_run_does_nothing(tiny: Workflow) -> None:
    assert "Nothing to be done" in tiny.run(*TINY)


def test_a_new_scan_reruns_only_what_depends_on_it(own_tiny: Workflow) -> None:
    scan = own_tiny.folder / "data/tiny/sub-04/anat/sub-04_T1w.nii.gz"
    stat = scan.stat()
    content = scan.read_bytes()
    scan.write_bytes(content + b"\0")
    try:
        planned = own_tiny.planned(*TINY)
    finally:
        import os

        scan.write_bytes(content)
        os.utime(scan, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert {"brain", "affine", "whiten", "register_pairs", "score_pairs", "report_page"} <= planned
    assert not planned & {"train_method", "pack", "simulate", "space", "cohort_tables"}


@pytest.mark.parametrize(
    ("file", "before", "after", "rerun", "untouched"),
    [
        ("src/pmrpipe/metrics/finite.py", "known.mean()", "np.median(known)",
         {"score_pairs", "report_page"}, {"register_pairs", "train_method", "brain"}),
        ("src/pmrpipe/stages/preprocess/whiten.py", "_CLIP = 3.0", "_CLIP = 2.5",
         {"whiten", "train_method", "score_pairs"}, {"brain", "resample", "simulate"}),
        ("src/pmrpipe/methods/classical.py", '"SyNOnly"', '"SyN"',
         {"register_pairs"}, {"train_method", "whiten"}),
        ("src/pmrpipe/data/methods/pmr.yaml", "sigma: 0.02", "sigma: 0.03",
         {"train_method", "register_pairs", "score_pairs"}, {"whiten", "pack"}),
        ("src/pmrpipe/data/labels/embedded.tsv", "\tfrontal\t", "\tfrontalis\t",
         {"score_pairs", "report_page"}, {"simulate", "labels", "pack", "train_method"}),
        ("src/pmrpipe/methods/voxelmorph.py", "from torch", "import os\nfrom torch",
         set(), {"train_method", "register_pairs"}),
        ("src/pmrpipe/stages/score/pair.py", '"""All scores', '"""Every score',
         set(), {"score_pairs"}),
    ],
    ids=["score", "whiten", "syn", "method", "regions", "other-method", "docstring"],
)  # fmt: skip
def test_a_change_of_code_reruns_its_stage_and_what_follows(
    own_tiny: Workflow, file: str, before: str, after: str, rerun: set[str], untouched: set[str]
) -> None:
    if "_CLIP" in before:
        text = (own_tiny.folder / file).read_text()
        before = next(line for line in text.splitlines() if line.startswith("_CLIP"))
    with changed(own_tiny.folder / file, before, after):
        planned = own_tiny.planned(*TINY)
    assert rerun <= planned
    assert not planned & untouched


def test_who_is_in_the_test_set_changes_no_training(tiny: Workflow) -> None:
    without = ["exclude={sub-04: for a test}", "pairs={policy: to-template}"]
    planned = tiny.planned(*TINY, "--config", *without)
    assert {"cohort_tables", "report_page"} <= planned
    assert not planned & {"pack", "train_method", "brain"}


@pytest.mark.slow
def test_two_clones_give_the_same_tables(
    results: Results, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = copy_workflow(tmp_path_factory.mktemp("second") / "clone")
    other.run(*TINY, cores=1)
    second = Results(other.folder / "results" / "tiny", 4.0)
    assert digests(results.root) == digests(second.root)
    name = pair_name(*PAIRS[0])
    assert (second.root / "register" / "pmr" / name).is_dir()


def test_the_copy_is_complete() -> None:
    assert (REPO / "workflow" / "Snakefile").read_text().strip().endswith('"../Snakefile"')
