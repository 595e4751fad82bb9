"""Quicksilver from its teacher to its result: teach, pack, train, register, shoot again."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pmrpipe.base.files import read_json, write_json
from pmrpipe.cli import main
from pmrpipe.images.volume import write_volume
from pmrpipe.methods.geodesic_file import read_momentum
from pmrpipe.methods.spec import spec
from pmrpipe.study.paths import Results
from pmrpipe.study.space import template_brain
from pmrpipe.study.target_pack import open_targets

MM = 8.0
KEYS = ("sub-01", "sub-02", "sub-03")
PAIRS = ["sub-01_to_sub-02", "sub-02_to_sub-03"]


def run(*words):
    assert main([str(word) for word in words]) == 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Three brains, two pairs of them as a teacher says, and a network after two steps."""
    results, brain = Results(tmp_path_factory.mktemp("study"), MM), template_brain(MM)
    for n, key in enumerate(KEYS):
        write_volume(results.preproc(key), np.roll(brain.data, n, axis=1), brain.affine, np.float32)
    teacher = spec("lddmm").model_dump(exclude_none=True)
    teacher |= {"name": "teacher"}
    teacher["parameters"] |= {"levels_mm": [8], "iterations": [2]}
    student = spec("quicksilver-lpc").model_dump(exclude_none=True)
    student |= {"name": "student", "teacher": {"method": "teacher", "pairs": 2}}
    student["parameters"] |= {"patches": 2}
    for network in ("network", "correction"):
        student["parameters"][network] |= {"features": 2}
    student["schedule"] |= {"max_steps": 2, "validate_every": 2}
    twice = json.loads(json.dumps(student)) | {"name": "twice", "shares": "student"}
    twice["parameters"]["corrections"] = 2
    del twice["teacher"]
    for content in (teacher, student, twice):
        write_json(results.root / f"{content['name']}.yaml", content)
    pairs = ["--pairs", *PAIRS]
    yaml, out = results.root / "teacher.yaml", results.root / "taught.tsv"
    run("teach", results.root, out, "--method", yaml, "--mm", MM, *pairs)
    targets = results.targets("teacher", 2)
    run("pack-targets", results.root, targets, "--teacher", "teacher", "--mm", MM, *pairs)
    run("pack", results.root, results.arrays, "--mm", MM, "--keys", *KEYS, "--train", *KEYS)
    folder, method = results.training("student"), results.root / "student.yaml"
    words = ["--method", method, "--network-mm", MM, "--device", "cpu", "--targets", targets]
    run("train", results.arrays, folder, *words, "--train", *KEYS)
    return results


def register(results, name, out, weights="student"):
    words = ["--method", results.root / f"{name}.yaml", "--mm", MM, "--network-mm", MM]
    words += ["--weights", results.training(weights), "--device", "cpu", "--pairs", PAIRS[0]]
    run("register-pairs", results.root, out, *words)


def test_the_pack_holds_the_teacher_s_momenta(trained):
    targets = open_targets(trained.targets("teacher", 2))
    pair = tuple(PAIRS[0].split("_to_"))
    values, grid = targets.momentum(pair)
    own = read_momentum(trained.teacher_momentum("teacher", *pair))
    assert grid == own.grid
    assert np.abs(values - own.values).max() < 1e-3 * np.abs(own.values).max()
    assert own.values.any()


def test_its_result_is_a_geodesic_that_can_be_shot_again(trained, tmp_path):
    register(trained, "student", tmp_path / "list.tsv")
    momentum = trained.momentum("student", *PAIRS[0].split("_to_"))
    assert read_momentum(momentum).values.any()
    run("shoot", momentum, "--time", 0.5, "--output", tmp_path / "half")
    assert read_json(tmp_path / "half" / "shoot.json")["moving"] == "sub-01"


def test_one_that_shares_weights_takes_its_owner_s(trained, tmp_path):
    register(trained, "twice", tmp_path / "list.tsv")
    one, two = (
        read_momentum(trained.momentum(name, *PAIRS[0].split("_to_"))).values
        for name in ("student", "twice")
    )
    assert not np.array_equal(one, two)


def test_a_refined_row_begins_at_the_prediction(trained, tmp_path):
    from pmrpipe.base.files import read_tsv

    words = ["--method", trained.root / "student.yaml", "--mm", MM, "--network-mm", MM]
    words += ["--weights", trained.training("student"), "--device", "cpu", "--pairs", PAIRS[0]]
    words += ["--refine", 3, "--name", "student_refine-3"]
    run("register-pairs", trained.root, tmp_path / "list.tsv", *words)
    rows = read_tsv(trained.energies("student_refine-3", *PAIRS[0].split("_to_")))
    assert 2 <= len(rows) <= 4
    assert rows["total"].iloc[-1] < rows["total"].iloc[0]
