"""A change of the configuration of a finished study: one call, and nothing old is left."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from pmrpipe.base.files import read_tsv, sha256

from .conftest import Workflow, copy_workflow

STUDY = {
    "cohort": "quick",
    "reader": "embedded",
    "root": "data/quick",
    "embedded": {"subjects": 4, "mm": 4.0, "seed": 3},
    "labels": "labels.tsv",
    "grid_mm": 8,
    "preprocessing": "whole",
    "split": {"train": ["01"], "test": ["02", "03", "04"]},
    "methods": ["affine", "greedy"],
    "device": "cpu",
    "seed": 2,
}
TRAINED = {
    **STUDY,
    "labels": "embedded",
    "split": {"train": ["01", "02"], "test": ["03", "04"]},
    "methods": ["affine", "pmr"],
    "network_mm": 16,
    "training": {"max_steps": 2, "validate_every": 1},
}
CHANGES = {
    "method removed": {"methods": ["affine"]},
    "method renamed": {"methods": ["greedy"]},
    "pairs policy": {"pairs": {"policy": "to-template"}},
    "subject excluded": {"exclude": {"sub-04": "for a test"}},
    "labels table": {"labels": "fewer.tsv"},
    "fields discarded": {"fields": False},
}
TRAINED_CHANGES = {
    "learned method removed": {"methods": ["affine"]},
    "methods added": {"methods": ["affine", "pmr", "pmr-concat", "pmr-last", "greedy"]},
    "seed added": {"seeds": {"pmr": [7]}},
    "uncertainty": {"uncertainty": 2},
    "training subject excluded": {"split": {"train": ["01", "03"], "test": ["02", "04"]}},
}
PAPER = ("table1", "table2", "ablation")
# Each with the tables that it promises to be right, below the results.
SCORES = ("score/*.tsv", "score/*/*.tsv", "score/*/*.json")
TARGETS = {
    "all": ("*.tsv", *SCORES, "train/*/history.tsv"),
    "preprocess": ("sub-*/anat/*.nii.gz",),
    "qc": ("qc.tsv",),
    "train": ("train/*/history.tsv",),
    "register": ("register/*/batches/*.tsv",),
    "score": SCORES,
    "report": ("*.tsv", *SCORES, "train/*/history.tsv"),
    **{name: (f"score/{name}.*", "score/summary.tsv") for name in PAPER},
}


def configured(workflow: Workflow, keys: dict) -> tuple[str, str]:
    (workflow.folder / "quick.yaml").write_text(yaml.safe_dump(keys))
    return "--configfile", "quick.yaml"


def clone(folder: Path) -> Workflow:
    """A workflow without results, with a label table to edit and one with fewer regions."""
    workflow = copy_workflow(folder)
    table = (folder / "src/pmrpipe/data/labels/embedded.tsv").read_text()
    lines = table.splitlines()
    (folder / "labels.tsv").write_text(table)
    (folder / "fewer.tsv").write_text("\n".join(lines[: len(lines) // 2]) + "\n")
    return workflow


def finished(folder: Path, keys: dict, *targets: str) -> Workflow:
    workflow = clone(folder)
    words = configured(workflow, keys)
    workflow.run(*(targets or ("all",)), *words)
    if not targets:
        papers(workflow, words)
    return workflow


def copied(workflow: Workflow, folder: Path) -> Workflow:
    return Workflow(shutil.copytree(workflow.folder, folder, symlinks=True))


def fresh(done: Workflow, folder: Path, keys: dict) -> Workflow:
    """The changed study where there is nothing but preprocessed scans and the template.

    No change touches those, and they take half of the time.
    """
    workflow = copied(done, folder)
    for path in (folder / "results" / "quick").iterdir():
        if path.is_file():
            path.unlink()
        elif not path.name.startswith(("sub-", "tpl-")):
            shutil.rmtree(path)
    words = configured(workflow, keys)
    assert "preprocess_scan" not in workflow.planned(*words)
    workflow.run("all", *words)
    papers(workflow, words)
    return workflow


def papers(workflow: Workflow, words: tuple[str, str]) -> None:
    for name in PAPER:
        # Refused where the study lacks what the table needs.
        workflow.run(name, *words, check=False)


def check_all(done: Workflow, keys: dict, folder: Path) -> None:
    """Every target, two of them side by side."""
    expected = fresh(done, folder / "fresh", keys)
    with ThreadPoolExecutor(2) as pool:
        each = [
            pool.submit(check, done, expected, keys, folder / target, target) for target in TARGETS
        ]
        for checked in each:
            checked.result()


def content(path: Path) -> str:
    """What a file says: tables without their times, images by their checksum."""
    if path.suffix != ".tsv":
        return sha256(path)
    table = read_tsv(path)
    return table.drop(columns=[name for name in table if "seconds" in name]).to_csv(sep="\t")


def contents(workflow: Workflow, target: str) -> dict[str, str]:
    """What a target promises, by its place in the results."""
    root = workflow.folder / "results" / "quick"
    paths = (path for pattern in TARGETS[target] for path in root.glob(pattern))
    # Tables of the paper are promised by their own targets alone.
    beside = {"timing.tsv", *(f"{name}.tsv" for name in PAPER if name != target)}
    return {
        str(path.relative_to(root)): content(path)
        for path in sorted(paths)
        if path.name not in beside
    }


def check(done: Workflow, empty: Workflow, keys: dict, folder: Path, target: str) -> None:
    """One call on the finished study gives what an empty folder gives, and leaves nothing to do."""
    changed = copied(done, folder)
    words = configured(changed, keys)
    if target in PAPER and f"score/{target}.tsv" not in contents(empty, target):
        assert f"{target}: needs " in changed.run(target, *words, cores=1, check=False)
        return
    changed.run(target, *words, cores=1)
    expected, left = contents(empty, target), contents(changed, target)
    assert {place: left.get(place) for place in expected} == expected, target
    # Folders of a method that went may stay, since no table names them; no table of all may.
    beside = {place for place in left if place.count("/") < 2 and not place.startswith("train/")}
    assert beside <= set(expected), target
    # A target of no files (`train` without networks) is a job of its own, which always runs.
    assert not expected or "Nothing to be done" in changed.run(target, *words, cores=1), target
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    return finished(tmp_path_factory.mktemp("done") / "clone", STUDY)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    return finished(tmp_path_factory.mktemp("trained") / "clone", TRAINED)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("change", CHANGES)
def test_every_target_after_a_change_gives_what_an_empty_folder_gives(
    done: Workflow, tmp_path: Path, change: str
) -> None:
    check_all(done, {**STUDY, **CHANGES[change]}, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("change", TRAINED_CHANGES)
def test_every_target_of_a_trained_study_after_a_change(
    trained: Workflow, tmp_path: Path, change: str
) -> None:
    check_all(trained, {**TRAINED, **TRAINED_CHANGES[change]}, tmp_path)


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    keys = {**STUDY, "methods": ["affine"]}
    return finished(tmp_path_factory.mktemp("scored") / "clone", keys, "score")


@pytest.mark.parametrize(
    "change",
    [{"methods": ["affine", "greedy"]}, {"pairs": {"policy": "to-template"}}],
    ids=["method", "pairs"],
)
def test_a_change_and_its_undoing_take_one_call_each(
    scored: Workflow, tmp_path: Path, change: dict
) -> None:
    before = {**STUDY, "methods": ["affine"]}
    workflow, expected = copied(scored, tmp_path / "clone"), contents(scored, "score")
    after = configured(workflow, before | change)
    # Left by a target that is not asked for again.
    (workflow.folder / "results" / "quick" / "score" / "table1.md").write_text("old")
    workflow.run("score", *after)
    changed = contents(workflow, "score")
    assert changed["score/summary.tsv"] != expected["score/summary.tsv"]
    assert not (workflow.folder / "results" / "quick" / "score" / "table1.md").exists()
    assert "Nothing to be done" in workflow.run("score", *after)
    workflow.run("score", *configured(workflow, before))
    left = contents(workflow, "score")
    assert {place: left[place] for place in expected} == expected


@pytest.mark.parametrize(
    ("change", "rerun"),
    [
        ({"embedded": {"subjects": 4, "mm": 4.0, "seed": 4}}, {"simulate": 3}),
        ({"uncertainty": 5, "threads": {"registration": 2}}, {"register_pairs": 1, "summary": 1}),
        (
            {"methods": ["affine", "pmr-plus"], "weights": {"pmr-plus": "shipped"}},
            {"register_pairs": 1, "score_method": 1, "summary": 1, "cohort_tables": 0},
        ),
        ({"device": "auto"}, {}),
    ],
    ids=["seed-as-the-number", "threads", "shipped", "nothing"],
)
def test_a_change_plans_what_it_touches(
    scored: Workflow, tmp_path: Path, change: dict, rerun: dict[str, int]
) -> None:
    words = configured(scored, {**STUDY, "methods": ["affine"], **change})
    text = scored.run("score", "--dry-run", *words)
    for rule, count in rerun.items():
        assert text.count(f"rule {rule}:") == count
    assert bool(rerun) is ("Nothing to be done" not in text)


@pytest.mark.parametrize(
    ("file", "line"),
    [("cli/score.py", "pmrpipe: score affine: unexpected TypeError: not foreseen"),
     ("stages/score/gather.py",
      "pmrpipe: score affine: unexpected TypeError: not foreseen; please report it with the log")],
    ids=["before-the-verb", "in-the-work"],
)  # fmt: skip
def test_an_unforeseen_exception_in_a_job_ends_the_workflow_with_its_line(
    scored: Workflow, tmp_path: Path, file: str, line: str
) -> None:
    workflow = copied(scored, tmp_path / "clone")
    with open(workflow.folder / "src" / "pmrpipe" / file, "a", encoding="utf-8") as handle:
        handle.write("\nraise TypeError('not foreseen')\n")
    words = configured(workflow, {**STUDY, "methods": ["affine"]})
    text = workflow.run("score", "--forcerun", "score_method", *words, check=False)
    assert line in text.splitlines()
    assert "whole log: results/quick/logs/score/affine.log" in text
