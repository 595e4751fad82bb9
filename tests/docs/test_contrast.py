"""docs/how-to/contrast.md, followed: what is planned for scans that are no T1w."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pmrpipe.stages.cohort.index import cohort_rows, index
from pmrpipe.study.config import parse
from pmrpipe.study.paths import Results

from ..workflow.conftest import Workflow, copy_workflow
from .pages import DOCS, blocks, prose

PAGE = DOCS / "how-to" / "contrast.md"
FILES = [f"sub-{s}/ses-{n}/anat/sub-{s}_ses-{n}" for s in ("01", "02") for n in (1, 2)]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A clone with the page's study, and a dataset of two subjects, two sessions, two contrasts."""
    clone = copy_workflow(tmp_path_factory.mktemp("contrast") / "clone")
    for stem in FILES:
        for contrast in ("T1w", "T2w"):
            path = clone.folder / "dataset" / f"{stem}_{contrast}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    for block in blocks(PAGE):
        if block.title.endswith(".yaml"):
            (clone.folder / block.title).write_text(block.text, encoding="utf-8")
    return clone


def made(text: str) -> set[str]:
    """Files that a dry run says would be made."""
    lines = re.findall(r"^    output: (.*)$", text, re.M)
    return {Path(name).name for line in lines for name in line.split(", ")}


def plan(clone: Workflow, *words: str) -> str:
    (command,) = (block.text.split() for block in blocks(PAGE) if block.title == "plan")
    assert command.pop(0) == "snakemake"
    return clone.run(*command, *words, cores=1)


def test_the_files_of_the_page_are_those_that_are_planned(clone: Workflow) -> None:
    table = re.findall(r"^\| `sub-01_(\S+)` \| `sub-01_(\S+)` \|$", prose(PAGE), re.M)[2:]
    second, first = (
        made(plan(clone)),
        made(plan(clone, "--config", "cohort=first", "inputs={contrast: T1w}")),
    )
    assert len(table) == 5
    for t1w, t2w in table[:-1]:
        assert f"sub-01_ses-2_{t2w}" in second
        assert f"sub-01_ses-2_{t1w}" in first
    alone = made(plan(clone, "--config", "inputs={contrast: T2w, through_t1w: false}"))
    assert not alone & first - {name for name in first if name.startswith("tpl-")}
    assert "sub-01_ses-2_from-T2w_to-T1w_mode-image_xfm.mat" in second
    assert Results("r").dseg("sub-01_T2w").name == f"sub-01_{table[-1][1]}"


@pytest.mark.parametrize("preprocessing", ["stepwise", "whole"])
def test_a_whole_study_of_t2w_scans_is_planned(clone: Workflow, preprocessing: str) -> None:
    words = ("--configfile", "study.yaml", "--config", f"preprocessing={preprocessing}")
    text = clone.run("--dry-run", *words, cores=1)
    files = made(text)
    for stem in FILES:
        key = f"{Path(stem).name}_T2w"
        assert {f"{key}.html", f"{Path(stem).name}_desc-mask_T2w.svg"} <= files
    assert "sub-01_ses-1_desc-brain_T1w.nii.gz" in files
    assert re.search(r"input: dataset/sub-02/ses-1/anat/sub-02_ses-1_T2w.nii.gz", text)


@pytest.mark.parametrize("preprocessing", ["stepwise", "whole"])
def test_pairs_across_contrasts_are_planned(clone: Workflow, preprocessing: str) -> None:
    words = ("--configfile", "across.yaml", "--config", f"preprocessing={preprocessing}")
    pairs = re.search(r"--pairs ((?:\S+_to_\S+ ?)+)", clone.run("--dry-run", "-p", *words, cores=1))
    assert pairs is not None
    assert "sub-01_ses-1_T2w_to_sub-02_ses-2" in pairs[1]
    assert not re.search(r"T2w_to_\S+_T2w", pairs[1])


def test_the_keys_of_the_page_are_those_of_the_cohort(clone: Workflow) -> None:
    keys = dict(re.findall(r"^\| `([\w-]+)` \| `(\S+)_T\dw.nii.gz` \|$", prose(PAGE), re.M))
    rows = {}
    for contrast in ("T1w", "T2w"):
        study = {"root": str(clone.folder / "dataset"), "inputs": {"contrast": contrast}}
        cohort = index(parse(study))
        rows |= {row["key"]: row for row in cohort_rows(cohort)}
    assert set(keys.values()) == {"sub-01_ses-1"}
    assert set(keys) < set(rows)
    assert len(rows) == 2 * len(FILES)
    row = rows["sub-01_ses-1_T2w"]
    assert (row["contrast"], row["subject"], row["session"]) == ("T2w", "sub-01", "ses-1")
