"""A study of an optimisation and of the network that learns from it: target `reference`."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pmrpipe.base.files import read_json, read_tsv
from pmrpipe.methods.spec import spec
from pmrpipe.workflow.beside_reference import TABLES

from .conftest import Workflow, copy_workflow

STUDY = {
    "cohort": "beside",
    "reader": "embedded",
    "root": "data/beside",
    "embedded": {"subjects": 4, "mm": 4.0, "seed": 2019},
    "labels": "embedded",
    "grid_mm": 8,
    "network_mm": 8,
    "preprocessing": "whole",
    "split": {"train": ["01", "02"], "test": ["03", "04"]},
    "pairs": {"policy": "file", "file": "pairs.tsv"},
    "methods": ["affine", "optimum.yaml", "student.yaml"],
    "device": "cpu",
}
TEMPLATE = "tpl-MNI152NLin2009aSym"
PAIRS = [("sub-03", "sub-04"), ("sub-04", "sub-03"), (TEMPLATE, "sub-03"), ("sub-04", TEMPLATE)]
WORDS = ("--configfile", "study.yaml")


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    workflow = copy_workflow(tmp_path_factory.mktemp("beside") / "clone")
    optimum = spec("lddmm").model_dump(exclude_none=True) | {"name": "optimum"}
    optimum["parameters"] |= {"levels_mm": [8], "velocity_mm": 8, "iterations": [8]}
    student = spec("quicksilver").model_dump(exclude_none=True) | {"name": "student"}
    student["teacher"] = {"method": "optimum.yaml", "pairs": 2}
    student["parameters"] |= {"patches": 8}
    student["parameters"]["network"] |= {"features": 4}
    student["schedule"] |= {"max_steps": 40, "validate_every": 20}
    for method in (optimum, student):
        write(workflow.folder / f"{method['name']}.yaml", method)
    write(workflow.folder / "study.yaml", STUDY)
    lines = ["moving\tfixed", *("\t".join(pair) for pair in PAIRS)]
    (workflow.folder / "pairs.tsv").write_text("\n".join(lines) + "\n")
    workflow.run("reference", "report", *WORDS)
    return workflow


def write(path: Path, content: dict) -> None:
    path.write_text(yaml.safe_dump(content))


@pytest.mark.slow
def test_the_target_makes_every_table_with_its_sidecar(beside: Workflow) -> None:
    folder = beside.folder / "results" / "beside" / "score" / "beside_reference"
    for name in TABLES:
        assert len(read_tsv(folder / f"{name}.tsv"))
        assert read_json(folder / f"{name}.json")["Description"]
    errors = read_tsv(folder / "errors.tsv").set_index(["method", "kind"])
    assert set(errors["reference"]) == {"optimum"}
    kinds = {"image-to-image": 2, "atlas-to-image": 1, "image-to-atlas": 1}
    for kind, pairs in kinds.items():
        for method in ("affine", "student"):
            row = errors.loc[(method, kind)]
            assert row["pairs"] == pairs
            assert 0 <= row["p0.3_mm"] <= row["p50_mm"] <= row["p99.7_mm"]
        assert errors.loc[("affine", kind), "p50_mm"] > 0.1
    # Hardly trained, and yet it says something.
    same = errors.loc["student", "p50_mm"] == errors.loc["affine", "p50_mm"]
    assert not same.all()
    overlap = read_tsv(folder / "overlap.tsv")
    # The template has no labels.
    assert overlap.groupby("method").size().to_dict() == dict.fromkeys(
        ("affine", "optimum", "student"), 2
    )
    times = read_tsv(folder / "times.tsv").set_index("method")
    assert times.loc["student", "reference"] == "optimum"
    assert times.loc["student", "share_percent"] > 0


@pytest.mark.slow
def test_the_report_draws_them_and_the_energy(beside: Workflow) -> None:
    report = beside.folder / "results" / "beside" / "report"
    page = (report / "index.html").read_text()
    for text in ("Beside the reference", "Distance to the reference", "image to atlas"):
        assert text in page
    assert page.count("The energy at every iteration") == 2
    names = {path.stem for path in (report / "figures").glob("reference-*.svg")}
    assert names == {f"reference-{n}" for n in ("overlap", "errors", "jacobians", "devices")}


@pytest.mark.slow
def test_nothing_is_left_to_do_and_a_study_without_a_reference_says_so(beside: Workflow) -> None:
    assert beside.planned("reference", "report", *WORDS) == set()
    text = beside.run("reference", "--configfile", "config/tiny.yaml", check=False)
    assert "no method has one to be set beside; name one of `methods`" in text
    planned = beside.planned("--configfile", "config/tiny.yaml")
    assert not planned & {"compare_pairs", "compare_tables"}
