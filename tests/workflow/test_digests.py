"""The digest of every verb holds all that the verb really loads."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from pmrpipe.base.digest import closure
from pmrpipe.cli import VERBS
from pmrpipe.methods.spec import spec
from pmrpipe.study.paths import Results
from pmrpipe.workflow.digests import method_modules
from pmrpipe.workflow.verbs import WORK

from .conftest import REPO, Workflow, probed

# The command line itself, which makes flags of options, keeps outputs off inputs and imports
# antspyx faster, and the version alone.
ASIDE = ("pmrpipe", "pmrpipe.__main__", "pmrpipe.cli", "pmrpipe.study.options.flags",
         "pmrpipe.base.outputs", "pmrpipe.base.version", "pmrpipe.base.ants_imports")  # fmt: skip
# Verbs of the rules on config/tiny.yaml, whose run for all tests writes down what they load.
RUN = (
    "cohort", "simulate", "space", "brain", "resample", "affine", "whiten", "labels", "pack",
    "qc", "qc-template", "qc-table", "train", "register-pairs", "register-levels", "score-pairs",
    "score", "report",
)  # fmt: skip


def loaded(folder: Path, verb: str) -> Iterable[tuple[list[str], set[str]]]:
    """Words and modules of each run of a verb."""
    for path in folder.glob(f"*-{verb}.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["words"][0] == verb:
            kept = (n for n in content["modules"] if n not in ASIDE)
            yield content["words"], {n for n in kept if not n.startswith("pmrpipe.cli.")}


def method_of(words: list[str]) -> str:
    return words[words.index("--method") + 1]


def test_every_verb_has_its_work_modules() -> None:
    assert set(WORK) == set(VERBS)


@pytest.mark.parametrize("verb", RUN)
def test_the_closure_holds_what_a_rule_loads(tiny: Workflow, verb: str) -> None:
    runs = list(loaded(tiny.folder / "probe", verb))
    assert runs
    for words, modules in runs:
        roots, without = WORK[verb], []
        if verb in ("train", "register-pairs", "register-levels"):
            roots, without = method_modules(spec(method_of(words)), verb)
        assert modules - closure(*roots, without=without) == set()


def called(folder: Path, words: Iterable[object], cwd: Path) -> set[str]:
    """Modules that a verb loads, which ends well."""
    command = [sys.executable, "-m", "pmrpipe", *map(str, words)]
    environment = os.environ | probed(folder)
    environment["PYTHONPATH"] += os.pathsep + str(REPO / "src")
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ((_, modules),) = loaded(folder, command[3])
    return modules


@pytest.mark.parametrize(
    "verb",
    [
        "preprocess", "paper-table", "label-table", "methods", "apply", "pack-targets",
        pytest.param("teach", marks=pytest.mark.slow),
        pytest.param("register", marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_the_closure_holds_what_other_verbs_load(tiny: Workflow, tmp_path: Path, verb: str) -> None:
    results = Results(tiny.folder / "results" / "tiny", 4.0)
    brain, other = results.brain("sub-03"), results.brain("sub-04")
    mm = ("--mm", 4)
    own = tmp_path / "results"
    if verb in ("teach", "pack-targets"):
        shutil.copytree(results.root, own)
        field = Results(own, 4.0).teacher_field("syn", "sub-03", "sub-04")
        field.parent.mkdir(parents=True)
        shutil.copy(results.field("syn", "sub-03", "sub-04"), field)
    words = {
        "preprocess": (brain, tmp_path / "out", "--key", "sub-03", "--state", "brain", *mm),
        "paper-table": ("table1", results.summary, tmp_path / "table1.tsv", "--cohort", "tiny"),
        "label-table": (tmp_path / "labels.tsv", results.dseg("sub-03")),
        "methods": (),
        "apply": ("--image", brain, "--transforms", results.affine("sub-03"), "--reference",
                  results.template, "--output", tmp_path / "out.nii.gz"),
        "teach": (own, tmp_path / "taught.tsv", "--method", "greedy", "--pairs",
                  "sub-03_to_sub-04", *mm),
        "pack-targets": (own, tmp_path / "fields.safetensors", "--teacher", "syn", "--pairs",
                         "sub-03_to_sub-04", *mm),
        "register": (brain, other, "--output", tmp_path / "out", "--brain-extracted", *mm,
                     "--no-cache", "--refine", 1),
    }  # fmt: skip
    modules = called(tmp_path, (verb, *words[verb]), tiny.folder)
    roots = [*WORK[verb]]
    if verb in ("register", "teach"):
        roots += spec("pmr-plus" if verb == "register" else "greedy").modules()
    assert modules - closure(*roots) == set()
