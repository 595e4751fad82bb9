"""210 seeded corruptions in 42 studies: each ends right or refused, and the whole go on."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import yaml

from pmrpipe.base.files import read_json, read_tsv
from pmrpipe.cli import main
from pmrpipe.images.volume import read_image, read_mask
from pmrpipe.metrics.similarity import ncc
from pmrpipe.stages.qc.measures import judged, measure
from pmrpipe.study.paths import Results
from pmrpipe.study.sidecar import sidecar_path
from tests.helpers.wild import names, scans
from tests.helpers.wild.configurations import CONFIGURATIONS, TABLES

from .conftest import Workflow, copy_workflow

WHOLE, BROKEN = ("sub-01", "sub-02"), tuple(f"sub-{n:02d}" for n in range(3, 8))
STUDY = {
    "cohort": "wild",
    "reader": "bids",
    "root": "data",
    "inputs": {"labels_root": "derivatives/truth", "masks_root": "derivatives/truth"},
    "labels": "labels.tsv",
    "grid_mm": 8,
    "preprocessing": "whole",
    "pairs": {"policy": "to-subject", "subject": "sub-01"},
    "pairs_per_job": 1,
    "methods": ["affine"],
    "device": "cpu",
}
# Where no scan is touched the others would only be preprocessed once more.
WHOLE_ALONE = STUDY | {"subjects": ["01", "02"]}
# Read before the workflow: `pmrpipe run` names the file and the line.
OF_SNAKEMAKE = ("Config file is not valid JSON or YAML.", "Config file must be given as JSON or")
# How alike a result must be to that of the whole files, and how alike one that is doubted.
RIGHT = 0.97


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """Seven whole subjects, preprocessed and scored; `clean/` keeps what the five give."""
    workflow = copy_workflow(tmp_path_factory.mktemp("base") / "clone")
    folder = workflow.folder
    words = ["--subjects", "7", "--mm", "4", "--seed", "5"]
    assert main(["simulate", str(folder / "data"), *words]) == 0
    table = (folder / "src/pmrpipe/data/labels/embedded.tsv").read_text()
    (folder / "labels.tsv").write_text(table)
    (folder / "pairs.tsv").write_text("moving\tfixed\nsub-02\tsub-01\n")
    people = "".join(f"{key}\ttest\n" for key in (*WHOLE, *BROKEN))
    (folder / "data" / "participants.tsv").write_text(f"participant_id\tsplit\n{people}")
    run(workflow, yaml.safe_dump(STUDY), check=True)
    results = folder / "results" / "wild"
    for key in BROKEN:
        shutil.move(results / key, folder / "clean" / key)
    for name in ("register", "score", "logs"):
        shutil.move(results / name, folder / "clean" / name)
    return workflow


def run(workflow: Workflow, text: str, check: bool = False) -> str:
    (workflow.folder / "study.yaml").write_text(text, encoding="utf-8")
    words = ("score", "--keep-going", "--configfile", "study.yaml")
    said = workflow.run(*words, cores=1, check=check)
    logs = [path.read_text() for path in workflow.folder.glob("results/*/logs/**/*.log")]
    assert not [text for text in (said, *logs) if "Traceback (most" in text], said[-3000:]
    return said


def copied(base: Workflow, folder: Path) -> Workflow:
    return Workflow(shutil.copytree(base.folder, folder, symlinks=True))


def whole_scores(root: Path) -> list[str]:
    """Rows of the whole subjects' pair, of every score table of the jobs."""
    tables = sorted(root.glob("affine/batches/*/by_*.tsv"))
    lines = [line for table in tables for line in table.read_text().splitlines()]
    return sorted(line for line in lines if line.startswith("sub-02\tsub-01\t"))


def require_whole_scores(base: Workflow, workflow: Workflow) -> None:
    scores = whole_scores(workflow.folder / "results" / "wild" / "score")
    assert scores == whole_scores(base.folder / "clean" / "score")
    assert len(scores) > 1


def refusal(said: str) -> str:
    """The one line in which a run was refused before its first job; empty when it was not."""
    lines = [line.strip() for line in said.splitlines()]
    heads = [n for n, line in enumerate(lines) if line.startswith("WorkflowError")]
    said_after = [lines[n + 1] for n in heads]
    # How a run ends in which a job failed.
    return next((line for line in said_after if not line.startswith("At least one job")), "")


# -- scans -------------------------------------------------------------------------------------
def check_scan(base: Workflow, workflow: Workflow, key: str, name: str, said: str) -> str:
    """What is wrong with how a corrupted scan was taken; empty when nothing is."""
    results = Results(workflow.folder / "results" / "wild", 8.0)
    if not results.preproc(key).exists():
        told = re.search(rf"^pmrpipe: .*{key}", said, re.MULTILINE) is not None
        right = told and name not in scans.HARMLESS
        return "" if right else f"{name}: refused" if told else f"{name}: refused without a line"
    white, clean = (
        read_image(r.preproc(key)).data for r in (results, Results(base.folder / "clean", 8.0))
    )
    alike = ncc(clean, white, clean > 0)
    doubtful = judged_alone(results, key)
    if alike >= RIGHT or (doubtful and name not in scans.HARMLESS):
        return ""
    return f"{name}: wrong and silent, {alike:.3f} like that of the whole files"


def judged_alone(results: Results, key: str) -> bool:
    import pandas as pd

    quality = read_json(sidecar_path(results.affine(key)))["Quality"]
    brain, mask = read_image(results.brain(key)), read_mask(results.mask(key))
    white, template = (
        read_image(results.preproc(key)),
        read_image(results.preproc(results.space.key)),
    )
    measures = measure(brain, mask, quality, white.data, template)
    return bool(judged(pd.DataFrame([measures]))["outlier"].notna()[0])


def check_scans(base: Workflow, workflow: Workflow, first: int) -> list[str]:
    """Five subjects with corrupted files."""
    root, chosen = workflow.folder / "data", {}
    for number, key in enumerate(BROKEN, first):
        chosen[key], corrupt = scans.corruption(number)
        masks = [names.truth(root, key, kind) for kind in ("desc-brain_mask", "dseg")]
        corrupt(scans.Files(names.t1w(root, key), *masks), np.random.default_rng(number))
    said = run(workflow, yaml.safe_dump(STUDY))
    exclude = {}
    while line := refusal(said):
        (key,) = [key for key in BROKEN if key in line and key not in exclude]
        exclude[key] = "refused"
        said = run(workflow, yaml.safe_dump(STUDY | {"exclude": exclude}))
    require_whole_scores(base, workflow)
    left = {key: name for key, name in chosen.items() if key not in exclude}
    return [w for key, name in left.items() if (w := check_scan(base, workflow, key, name, said))]


# -- names -------------------------------------------------------------------------------------
def check_names(base: Workflow, workflow: Workflow, first: int) -> list[str]:
    """Five subjects with corrupted names: who is refused can be excluded, nobody gets lost."""
    chosen = {}
    for number, key in enumerate(BROKEN, first):
        chosen[key], corrupt = names.corruption(number)
        corrupt(workflow.folder / "data", key, np.random.default_rng(number))
    exclude: dict[str, str] = {}
    said = run(workflow, yaml.safe_dump(STUDY))
    while line := refusal(said):
        keys = [key for key in BROKEN if key in line and key not in exclude]
        if len(keys) != 1:
            return [f"{chosen}: refused by {line}"]
        exclude[keys[0]] = "refused"
        said = run(workflow, yaml.safe_dump(STUDY | {"exclude": exclude}))
    require_whole_scores(base, workflow)
    cohort = read_tsv(workflow.folder / "results" / "wild" / "cohort.tsv")
    told = " ".join(cohort[["key", "t1w"]].fillna("").astype(str).to_numpy().ravel())
    number = {key: key.removeprefix("sub-") for key in BROKEN}
    return [
        f"{name}: {key} is lost"
        for key, name in chosen.items()
        if not (
            f"sub-{number[key]}" in told or (name == "a folder without sub-" and "patient" in told)
        )
    ]


# -- tables and configurations -------------------------------------------------------------------
def check_text(base: Workflow, workflow: Workflow, name: str, said: str) -> str:
    line = refusal(said)
    if line:
        named = ": " in line or line.startswith(OF_SNAKEMAKE)
        return "" if len(line) < 400 and named else f"{name}: refused by {line}"
    if "error" in said.lower() and "Error" in said:
        return f"{name}: {said[-600:]}"
    require_whole_scores(base, workflow)
    return ""


def check_tables(base: Workflow, workflow: Workflow, first: int) -> list[str]:
    wrong = []
    for number in range(first, first + 5):
        name = list(TABLES)[number % len(TABLES)]
        file, change = TABLES[name]
        path = workflow.folder / ("data" if file.startswith("part") else ".") / file
        before = path.read_text()
        path.write_text(change(before), encoding="utf-8", newline="")
        keys = dict(WHOLE_ALONE)
        if file == "pairs.tsv":
            keys["pairs"] = {"policy": "file", "file": file}
        if file == "participants.tsv":
            keys["split"] = {"column": "split"}
        wrong.append(check_text(base, workflow, name, run(workflow, yaml.safe_dump(keys))))
        path.write_text(before)
    run(workflow, yaml.safe_dump(WHOLE_ALONE), check=True)
    require_whole_scores(base, workflow)
    return [line for line in wrong if line]


def check_configurations(base: Workflow, workflow: Workflow, first: int) -> list[str]:
    wrong = []
    for number in range(first, first + 5):
        name = list(CONFIGURATIONS)[number % len(CONFIGURATIONS)]
        said = run(workflow, CONFIGURATIONS[name](WHOLE_ALONE))
        wrong.append(check_text(base, workflow, name, said))
    run(workflow, yaml.safe_dump(WHOLE_ALONE), check=True)
    require_whole_scores(base, workflow)
    return [line for line in wrong if line]


Check = Callable[[Workflow, Workflow, int], list[str]]
# The kind of each study and the number of its first corruption: 80, 35, 40 and 55 of them, so
# that each table and each configuration comes once at least.
STUDIES: list[tuple[str, Check, int]] = [
    *(("scans", check_scans, 5 * n) for n in range(16)),
    *(("names", check_names, 5 * n) for n in range(7)),
    *(("tables", check_tables, 5 * n) for n in range(8)),
    *(("configurations", check_configurations, 5 * n) for n in range(11)),
]


def checked(base: Workflow, folder: Path, number: int) -> list[str]:
    kind, check, first = STUDIES[number]
    workflow = copied(base, folder / f"study-{number}")
    wrong = check(base, workflow, first)
    shutil.rmtree(workflow.folder)
    return [f"{kind} {first}: {line}" for line in wrong]


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("first", range(0, len(STUDIES), 4))
def test_each_corruption_ends_right_or_refused_and_the_whole_go_on(
    base: Workflow, tmp_path: Path, first: int
) -> None:
    with ThreadPoolExecutor(2) as pool:
        numbers = range(first, min(first + 4, len(STUDIES)))
        wrong = pool.map(lambda number: checked(base, tmp_path, number), numbers)
        assert [line for lines in wrong for line in lines] == []
