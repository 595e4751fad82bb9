"""A study that trains on its own cohort and on another study's: the whole chain, and shipping."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pmrpipe.base.files import read_json, read_tsv, write_json

from .conftest import Workflow

STUDY = {
    "reader": "bids",
    "input_state": "brain",
    "grid_mm": 8,
    "preprocessing": "whole",
    "methods": ["affine", "brief"],
    "device": "cpu",
}
FIRST = {
    "split": {"train": ["01", "02"], "validation": ["03"], "test": ["04", "05"]},
    "cohorts": {"first": {"weight": 3}, "second": {"study": "second.yaml", "weight": 1}},
}
SECOND = {"split": {"train": ["01", "03", "05"], "test": ["02", "04"]}}
LICENCES = {"first": "CC0", "second": "PDDL"}


@pytest.fixture
def studies(workflow: Workflow, brain_dataset: Path) -> Workflow:
    """Two datasets with licences, the studies `first` and `second`, and a brief training."""
    shipped = workflow.folder / "src/pmrpipe/data/methods/voxelmorph.yaml"
    brief = yaml.safe_load(shipped.read_text()) | {"name": "brief"}
    brief["schedule"] = {"max_steps": 4, "validate_every": 2}
    # Among those of the package: weights of one's own methods cannot be shipped with it.
    (shipped.parent / "brief.yaml").write_text(yaml.safe_dump(brief))
    for name, keys in (("first", FIRST), ("second", SECOND)):
        root = Path(shutil.copytree(brain_dataset, workflow.folder / "data" / name))
        describe(root, name, LICENCES[name])
        study = {**STUDY, **keys, "cohort": name, "root": str(root)}
        (workflow.folder / f"{name}.yaml").write_text(yaml.safe_dump(study))
    return workflow


def describe(root: Path, name: str, licence: str) -> None:
    said = {"Name": f"the {name} dataset", "BIDSVersion": "1.10.0", "License": licence}
    write_json(root / "dataset_description.json", said)


def shipped(clone: Workflow) -> subprocess.CompletedProcess[str]:
    """`pmrpipe ship` of the first study's weights, into the clone's own package."""
    trained = clone.folder / "results" / "first" / "train" / "brief"
    environment = os.environ | {"PYTHONPATH": str(clone.folder / "src")}
    words = [sys.executable, "-m", "pmrpipe", "ship", str(trained)]
    return subprocess.run(words, cwd=clone.folder, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_two_cohorts_train_one_network_whose_weights_are_shipped_if_both_allow_it(
    studies: Workflow,
) -> None:
    first, second = (("--configfile", f"{name}.yaml") for name in ("first", "second"))
    said = studies.run("--dry-run", *first, check=False)
    assert "cohort `second` is not packed" in said
    studies.run("results/second/train/arrays_res-8.safetensors", *second)
    studies.run("score", *first)
    results = studies.folder / "results" / "first"
    cohorts = read_json(results / "train" / "brief" / "model.json")["cohorts"]
    assert {name: (c["weight"], c["subjects"], c["License"]) for name, c in cohorts.items()} == {
        "first": (3, 2, "CC0"),
        "second": (1, 3, "PDDL"),
    }
    assert set(read_tsv(results / "score" / "summary.tsv")["method"]) == {"affine", "brief"}

    # A licence that forbids it: the pack, the training and what follows are made again.
    describe(studies.folder / "data" / "second", "second", "CC BY-NC 4.0")
    studies.run("results/second/train/arrays_res-8.safetensors", *second)
    planned = studies.planned("score", *first)
    assert {"train_method", "register_pairs"} <= planned
    assert not planned & {"pack", "preprocess_scan"}
    studies.run("score", *first)
    refused = shipped(studies)
    assert refused.returncode == 2
    assert "cohort `second`" in refused.stderr
    assert "CC BY-NC 4.0" in refused.stderr

    describe(studies.folder / "data" / "second", "second", "PDDL")
    studies.run("results/second/train/arrays_res-8.safetensors", *second)
    studies.run("score", *first)
    done = shipped(studies)
    assert done.returncode == 0, done.stderr
    assert (studies.folder / "src/pmrpipe/data/weights/brief/weights.safetensors").exists()
