"""A method of one's own: module, YAML and working folder lie apart, and apart from the clone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pmrpipe.base.files import read_json, read_tsv
from pmrpipe.study.paths import Results

from .conftest import REPO, Workflow
from .test_conda import conda_double

SMOOTH = """
from strength import STRENGTH
from pmrpipe.methods.deformation import Deformation

class Nudge:
    def __init__(self, along=0):
        self.along = along

    def register(self, moving, fixed, grid):
        displacement = fixed.new_zeros(1, 3, *grid.shape)
        displacement[:, self.along] = STRENGTH
        return Deformation(displacement, grid)
"""
NETWORK = """
from torch import nn
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.network_method import NetworkMethod
from pmrpipe.spatial.warp import warp

class Net(NetworkMethod):
    def __init__(self, network, network_mm=None):
        super().__init__(network_mm)
        self.network = network

    def deform(self, moving, fixed, grid):
        return Deformation(self.predict(moving, fixed), grid)

    def objective(self, batch):
        u = self.predict(batch.moving, batch.fixed)
        return {"total": ((warp(batch.moving, u) - batch.fixed) ** 2).mean()}
"""
PART = """
import torch
from torch import nn

class OneLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv3d(2, 3, 3, padding=1)

    def forward(self, moving, fixed):
        return self.layer(torch.cat([moving, fixed], 1))
"""
COMMON = {"title": "A method of one's own", "citation": "unpublished"}
YAMLS = {
    "nudge": {"kind": "classical", "component": "nudge:Nudge", "parameters": {"along": 1}},
    "net": {
        "kind": "learned",
        "component": "lab.net:Net",
        "parameters": {"network": {"component": "lab.layers:OneLayer"}},
        "schedule": {"max_steps": 2, "validate_every": 1},
    },
}


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A folder with two modules, a package, and the YAMLs of two methods."""
    folder = tmp_path / "my lab"
    (folder / "lab").mkdir(parents=True)
    (folder / "nudge.py").write_text(SMOOTH)
    (folder / "strength.py").write_text("STRENGTH = 0.5\n")
    (folder / "lab" / "net.py").write_text(NETWORK)
    (folder / "lab" / "layers.py").write_text(PART)
    for name, keys in YAMLS.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({"name": name, **COMMON, **keys}))
    return folder


@pytest.fixture
def study(tiny: Workflow, lab: Path, tmp_path: Path) -> Workflow:
    """The tiny study, done, moved to a folder without a clone; its configuration names `lab`."""
    folder = tmp_path / "study"
    folder.mkdir()
    for name in ("data", "results", ".snakemake"):
        shutil.copytree(tiny.folder / name, folder / name, ignore=shutil.ignore_patterns("conda"))
    for name in ("score", "report"):
        shutil.rmtree(folder / "results" / "tiny" / name)
    for name in ("cohort", "pairs"):
        (folder / "results" / "tiny" / f"{name}.tsv").unlink()
    content = yaml.safe_load((REPO / "config" / "tiny.yaml").read_text())
    content |= {"methods": ["affine", *(str(lab / f"{name}.yaml") for name in YAMLS)]}
    content.pop("training")
    (folder / "mine.yaml").write_text(yaml.safe_dump(content))
    return Workflow(folder)


def words(tiny: Workflow, *more: str) -> tuple[str, ...]:
    snakefile = str(tiny.folder / "Snakefile")
    return (*more, "--snakefile", snakefile, "--configfile", "mine.yaml")


@pytest.mark.slow
def test_methods_of_ones_own_go_through_the_chain(
    tiny: Workflow, study: Workflow, lab: Path
) -> None:
    text = study.run(*words(tiny, "score"))
    assert "rule brain:" not in text
    results = Results(study.folder / "results" / "tiny", 4.0)
    summary = read_tsv(results.summary)
    assert list(dict.fromkeys(summary["method"])) == ["affine", "nudge", "net"]
    assert read_json(results.training("net") / "model.json")["steps"] == 2
    dice = summary[summary["region"] == "all"].set_index("method")["dice_mean"]
    assert dice["nudge"] != dice["affine"]

    # A change of its module, or of what that imports beside it, reruns it and nothing else.
    for changed, rerun in (("strength.py", {"nudge"}), ("lab/layers.py", {"net"})):
        path, text = lab / changed, (lab / changed).read_text()
        path.write_text(text + "\nMORE = 1\n")
        again = study.run("--dry-run", *words(tiny, "score"))
        path.write_text(text)
        methods = {m for m in ("affine", "nudge", "net") if f"register/{m}/" in again}
        assert methods == rerun, changed
        assert ("train_method" in again) is ("net" in rerun)
    assert "Nothing to be done" in study.run("--dry-run", *words(tiny, "score"))


def test_a_method_of_ones_own_runs_in_a_conda_environment(
    tiny: Workflow, study: Workflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binaries = conda_double(tmp_path)
    monkeypatch.setattr(Workflow, "binaries", str(binaries))
    results = Results(Path("results/tiny"), 4.0)
    target = str(results.registered("nudge", "0001of0001"))
    more = ("--use-conda", "--rerun-triggers", "mtime")
    study.run(*words(tiny, target, *more))
    assert (study.folder / target).exists()
    assert "-m pmrpipe register-pairs" in (tmp_path / "ran.txt").read_text()


@pytest.mark.slow
def test_a_method_of_ones_own_registers_two_scans(
    tiny: Workflow, lab: Path, tmp_path: Path
) -> None:
    results = Results(tiny.folder / "results" / "tiny", 4.0)
    scans = [str(results.brain(key)) for key in ("sub-03", "sub-04")]
    call = [sys.executable, "-m", "pmrpipe", "register", *scans, "--output", "out", "--mm", "8",
            "--brain-extracted", "--no-cache", "--method", str(lab / "nudge.yaml")]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(REPO / "src")}
    done = subprocess.run(call, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert read_json(tmp_path / "out" / "register.json")["method"] == "nudge"


def test_a_module_that_is_nowhere_ends_in_one_line(
    tiny: Workflow, study: Workflow, lab: Path
) -> None:
    (lab / "nudge.py").unlink()
    text = study.run("--dry-run", *words(tiny, "score"), check=False)
    assert f"nudge: no such module beside {lab}, and none is installed" in text
    assert "Traceback" not in text
