"""A study with a teacher, the whole chain: what is learned, and what a change reruns."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from pmrpipe.images.transforms import read_field
from pmrpipe.images.volume import read_image
from pmrpipe.study.pack import open_arrays
from pmrpipe.study.paths import Results

from .conftest import REPO, Workflow, copy_workflow

STUDY = {
    "cohort": "taught",
    "reader": "embedded",
    "root": "data/taught",
    "embedded": {"subjects": 34, "mm": 4.0, "seed": 2019},
    "labels": "embedded",
    "grid_mm": 8,
    "preprocessing": "whole",
    "split": {
        "train": [f"{n:02d}" for n in range(1, 31)],
        "validation": ["31"],
        "test": ["32", "33", "34"],
    },
    "methods": ["affine", "greedy", "imitate.yaml"],
    "device": "cpu",
}
WORDS = ("score", "--configfile", "study.yaml")


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    workflow = copy_workflow(tmp_path_factory.mktemp("taught") / "clone")
    shutil.copy(REPO / "tests" / "helpers" / "imitate.yaml", workflow.folder)
    shutil.copy(workflow.folder / "src/pmrpipe/data/methods/greedy.yaml", workflow.folder)
    student = workflow.folder / "imitate.yaml"
    student.write_text(student.read_text().replace("method: greedy,", "method: teacher.yaml,"))
    teacher = yaml.safe_load((workflow.folder / "greedy.yaml").read_text()) | {"name": "teacher"}
    (workflow.folder / "teacher.yaml").write_text(yaml.safe_dump(teacher))
    (workflow.folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    workflow.run(*WORDS)
    return workflow


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_a_student_is_nearer_to_its_teacher_than_no_warp(taught: Workflow) -> None:
    results = Results(taught.folder / "results" / "taught", 8.0)
    missed, zero = [], []
    for moving in ("sub-32", "sub-33", "sub-34"):
        for fixed in {"sub-32", "sub-33", "sub-34"} - {moving}:
            brain = read_image(results.preproc(fixed)).data > 0
            teacher, own = (
                read_field(results.field(method, moving, fixed))[0]
                for method in ("greedy", "imitate")
            )
            missed.append(np.linalg.norm(own - teacher, axis=-1)[brain].mean())
            zero.append(np.linalg.norm(teacher, axis=-1)[brain].mean())
    assert np.mean(missed) <= 0.5 * np.mean(zero)


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_a_teacher_s_change_reruns_its_pairs_and_its_students(taught: Workflow) -> None:
    assert taught.planned(*WORDS) == set()
    path = Path(taught.folder / "teacher.yaml")
    before = path.read_text()
    path.write_text(before.replace("steps: 40", "steps: 41"))
    try:
        planned = taught.planned(*WORDS)
    finally:
        path.write_text(before)
    assert {"teach", "pack_targets", "train_method", "register_pairs"} <= planned
    assert not planned & {"pack", "preprocess_scan", "simulate"}
    lists = set(results_of(taught))
    assert all("32" not in name and "31" not in name for name in lists)


def results_of(taught: Workflow) -> list[str]:
    """Pairs that were taught."""
    folder = taught.folder / "results" / "taught" / "train" / "teachers" / "teacher"
    return [path.name.replace("sub-", "") for path in folder.glob("sub-*")]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_network_learns_from_another_contrast_than_its_teacher(tmp_path: Path) -> None:
    workflow = copy_workflow(tmp_path / "clone")
    student = yaml.safe_load((REPO / "tests" / "helpers" / "imitate.yaml").read_text())
    student["teacher"] = {"method": "greedy", "pairs": 3, "moving": "T2w"}
    student["schedule"] |= {"max_steps": 3, "validate_every": 3}
    (workflow.folder / "imitate.yaml").write_text(yaml.safe_dump(student))
    across = STUDY | {
        "embedded": {"subjects": 5, "mm": 4.0, "contrasts": ["T2w"]},
        "inputs": {"also": ["T2w"]},
        "pairs": {"moving": "T2w", "fixed": "T1w"},
        "split": {"train": ["01", "02"], "validation": ["03"], "test": ["04", "05"]},
        "methods": ["affine", "imitate.yaml"],
    }
    (workflow.folder / "study.yaml").write_text(yaml.safe_dump(across))
    workflow.run(*WORDS)
    results = Results(workflow.folder / "results" / "taught", 8.0)
    packed = open_arrays(results.arrays)
    assert set(packed.keys) == {f"sub-0{n}{end}" for n in (1, 2, 3) for end in ("", "_T2w")}
    assert packed.origin.train == ("sub-01", "sub-02")
    assert results.field("imitate", "sub-04_T2w", "sub-05").is_file()
    pairs = {path.name for path in (results.root / "train" / "teachers" / "greedy").glob("sub-*")}
    assert pairs == {"sub-01_to_sub-02", "sub-02_to_sub-01"}
    assert "Nothing to be done" in workflow.run(*WORDS)
