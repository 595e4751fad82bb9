"""Cohorts other than the embedded one: brains, no labels, given weights, bad scans."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from pmrpipe.base.files import read_tsv

from .conftest import Workflow

# One job a scan: a quarter of the starts.
QUICK = {
    "cohort": "mine",
    "reader": "bids",
    "input_state": "brain",
    "grid_mm": 4,
    "preprocessing": "whole",
}


def configured(workflow: Workflow, root: Path, **keys: object) -> tuple[str, str]:
    path = workflow.folder / "config" / "mine.yaml"
    path.write_text(yaml.safe_dump({**QUICK, "root": str(root), **keys}))
    return "--configfile", "config/mine.yaml"


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "labels.tsv"
    path.write_text("index\tname\tregion\tscored\n1\tgrey\tfrontal\t1\n2\twhite\tputamen\t1\n")
    return str(path)


def test_a_bad_scan_is_named_and_excluded(
    workflow: Workflow, brain_dataset: Path, table: str
) -> None:
    bad = brain_dataset / "sub-03" / "anat" / "sub-03_T1w.nii.gz"
    bad.write_bytes(bad.read_bytes()[:2000])
    keys = {"labels": table, "methods": ["affine"], "subjects": ["01", "02", "03", "04"]}
    words = configured(workflow, brain_dataset, **keys)
    text = workflow.run("--keep-going", *words, check=False)
    assert f"pmrpipe: {bad}" in text
    assert 'exclude: {sub-03: "why it is left out"}' in text
    results = workflow.folder / "results" / "mine"
    made = {path.name for path in results.glob("sub-*/anat/*_desc-preproc_T1w.nii.gz")}
    assert len(made) == 3
    words = configured(workflow, brain_dataset, exclude={"03": "cut short"}, **keys)
    workflow.run(*words)
    summary = read_tsv(results / "score" / "summary.tsv").set_index("region")
    assert summary.loc["all", "pairs"] == 6
    assert summary.loc["all", "dice_mean"] > 0.8
    page = (results / "report" / "index.html").read_text()
    assert "cut short" in page


def as_session(root: Path, source: str, subject: str, session: str) -> None:
    """Make a session of `subject` of the scan and labels of the subject `source`."""
    anat = root / subject / session / "anat"
    anat.mkdir(parents=True)
    for path in (root / source / "anat").iterdir():
        path.rename(anat / path.name.replace(source, f"{subject}_{session}"))
    shutil.rmtree(root / source)


@pytest.mark.slow
def test_sessions_of_one_subject_are_scored_against_each_other(
    workflow: Workflow, brain_dataset: Path, table: str
) -> None:
    for source, subject, session in (
        ("sub-02", "sub-08", "ses-a"),
        ("sub-03", "sub-08", "ses-b"),
        ("sub-04", "sub-09", "ses-a"),
        ("sub-05", "sub-09", "ses-b"),
    ):
        as_session(brain_dataset, source, subject, session)
    words = configured(
        workflow,
        brain_dataset,
        labels=table,
        methods=["affine"],
        pairs={"policy": "within-subject"},
    )
    workflow.run(*words)
    results = workflow.folder / "results" / "mine"
    pairs = read_tsv(results / "score" / "affine" / "by_pair.tsv")
    own = [(f"sub-{n}_ses-{a}", f"sub-{n}_ses-{b}") for n in ["08", "09"] for a, b in ("ab", "ba")]
    assert sorted(zip(pairs["moving"], pairs["fixed"], strict=True)) == own
    # The same brain but for its place and scale, which the affine takes back.
    assert (pairs["dice"] > 0.8).all()
    assert "sub-08_ses-a" in (results / "report" / "index.html").read_text()


@pytest.mark.slow
def test_no_labels_and_no_training_with_given_weights(
    workflow: Workflow, tiny: Workflow, brain_dataset: Path
) -> None:
    weights = tiny.folder / "results" / "tiny" / "train" / "pmr"
    kept = shutil.copytree(weights, workflow.folder / "weights")
    words = configured(
        workflow,
        brain_dataset,
        methods=["affine", "pmr"],
        network_mm=8,
        weights={"pmr": str(kept)},
        subjects=["01", "02", "03"],
        pairs={"policy": "to-subject", "subject": "01"},
        fields=False,
    )
    assert "train_method" not in workflow.planned(*words)
    workflow.run(*words)
    results = workflow.folder / "results" / "mine"
    assert not list(results.glob("register/pmr/*_to_*/*xfm.nii.gz"))
    assert "Nothing to be done" in workflow.run(*words)
    pairs = read_tsv(results / "score" / "pmr" / "by_pair.tsv")
    assert len(pairs) == 2
    assert pairs["dice"].isna().all()
    assert pairs["ncc"].notna().all()
    assert (pairs["sdlogj"] > 0).all()
    assert (results / "report" / "index.html").exists()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"metods": ["affine"]}, "unknown key `metods`"),
        ({"split": {"train": ["01"], "test": ["01"]}}, "both train and test"),
        ({"methods": ["pmr"]}, "needs at least two training subjects"),
        ({"methods": ["absent"]}, "neither a method of pmrpipe"),
        ({"labels": "absent"}, "neither a label table"),
    ],
)
def test_bad_configurations_end_in_one_line(
    workflow: Workflow, brain_dataset: Path, keys: dict, message: str
) -> None:
    text = workflow.run("--dry-run", *configured(workflow, brain_dataset, **keys), check=False)
    assert message in text
    assert "Traceback" not in text


@pytest.mark.slow
def test_inputs_may_be_read_only(workflow: Workflow, brain_dataset: Path) -> None:
    before = sorted((p, p.stat().st_mtime_ns) for p in brain_dataset.rglob("*"))
    words = configured(workflow, brain_dataset, methods=["affine"], pairs={"policy": "to-template"})
    workflow.run("score", *words)
    assert sorted((p, p.stat().st_mtime_ns) for p in brain_dataset.rglob("*")) == before
