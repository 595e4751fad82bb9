"""Target `change`: from the raw scans of two people on several days to tables, maps and pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from pmrpipe.base.files import read_json, read_tsv
from pmrpipe.images.resampling import resample, sample_points
from pmrpipe.images.volume import Volume, read_grid, write_volume

from ..helpers.rescans import Growth, ball, pose, rescan
from .conftest import Workflow, copy_workflow

pytestmark = pytest.mark.slow
STUDY = {
    "cohort": "days",
    "reader": "bids",
    "root": "data",
    "input_state": "brain",
    "grid_mm": 4,
    "labels": "labels.tsv",
    "lesions": {"sub-A_ses-1": "ball.nii.gz"},
    "split": {"train": []},
    "pairs": {"policy": "within-subject"},
    "methods": ["affine"],
    "change": {"noise": 1, "finest_mm": 4},
}
WORDS = ("change", "--configfile", "study.yaml")
GROWTH = {"sub-A_ses-1": None, "sub-A_ses-2": Growth(12), "sub-A_ses-10": Growth(24),
          "sub-B_ses-1": None, "sub-B_ses-2": None, "sub-C_ses-1": None}  # fmt: skip


def simulate(root: Path) -> None:
    """Brains of three people; the first scan of A and B has the label of a ball."""
    for number, (key, growth) in enumerate(GROWTH.items(), 1):
        scan, move, _ = rescan(4.0, pose(3, 2, number), growth, seed=number)
        folder = root / key.replace("_", "/") / "anat"
        folder.mkdir(parents=True)
        write_volume(folder / f"{key}_T1w.nii.gz", scan.data, scan.affine)
        if key in ("sub-A_ses-1", "sub-B_ses-1"):
            points = sample_points(scan.grid, np.linalg.inv(move))
            mask = resample(Volume(ball(scan.grid), scan.affine), points, "nearest")
            write_volume(folder / f"{key}_dseg.nii.gz", mask, scan.affine)
        if number == 1:
            write_volume(root / "ball.nii.gz", mask, scan.affine)


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    workflow = copy_workflow(tmp_path_factory.mktemp("change") / "clone")
    simulate(workflow.folder / "data")
    (workflow.folder / "study.yaml").write_text(yaml.safe_dump(STUDY), encoding="utf-8")
    table = "index\tname\tregion\tscored\n1\tball\tfrontal\t1\n"
    (workflow.folder / "labels.tsv").write_text(table, encoding="utf-8")
    workflow.run(*WORDS)
    return workflow


def test_every_later_session_is_compared_with_the_first(days: Workflow) -> None:
    folder = days.folder / "results" / "days" / "change"
    own = read_tsv(folder / "sub-A" / "change.tsv")
    assert set(own["scan"]) == {"sub-A_ses-2", "sub-A_ses-10"}
    about = read_json(folder / "sub-A" / "change.json")
    assert about["scans"] == ["sub-A_ses-1", "sub-A_ses-2", "sub-A_ses-10"]
    assert set(own.columns) <= about.keys()
    table = read_tsv(folder / "change.tsv").set_index(["subject", "session_second", "name"])
    assert set(table["session_first"]) == {"ses-1"}
    grown = table["percent"]
    for name in ("ball", "lesion"):
        assert 6 < grown["sub-A", "ses-2", name] < 15 < grown["sub-A", "ses-10", name] < 30
    assert abs(grown["sub-B", "ses-2", "ball"]) < 2
    assert not (folder / "sub-C").exists()


def test_maps_and_page_lie_beside_the_table(days: Workflow) -> None:
    folder = days.folder / "results" / "days" / "change" / "sub-A"
    first = days.folder / "data" / "sub-A" / "ses-1" / "anat" / "sub-A_ses-1_T1w.nii.gz"
    for name in ("desc-logjacobian_map", "desc-noise_map"):
        assert read_grid(folder / f"sub-A_ses-10_space-first_{name}.nii.gz") == read_grid(first)
    for name in ("from-first_to-ses2", "from-ses10_to-first"):
        assert (folder / f"sub-A_{name}_mode-image_xfm.nii.gz").exists()
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert page.count('class="flicker"') == 4


def test_a_second_run_does_nothing_and_another_setting_registers_alone(days: Workflow) -> None:
    assert "Nothing to be done" in days.run(*WORDS)
    planned = days.planned(*WORDS, "--config", "change={noise: 0, finest_mm: 4}")
    assert planned == {"compare_sessions", "change_table", "change"}
    assert "compare_sessions" not in days.planned("--configfile", "study.yaml")


def test_one_more_session_compares_its_person_alone(days: Workflow) -> None:
    scan, folder = rescan(4.0, seed=9)[0], days.folder / "data" / "sub-C" / "ses-2" / "anat"
    folder.mkdir(parents=True)
    write_volume(folder / "sub-C_ses-2_T1w.nii.gz", scan.data, scan.affine)
    text = days.run(*WORDS)
    assert "note: change: sub-C_ses-1: no labels of the first scan" in text
    table = read_tsv(days.folder / "results" / "days" / "change" / "change.tsv")
    assert list(table[table["subject"] == "sub-C"]["label"]) == ["brain"]
    assert text.count("rule compare_sessions:") == 1


def test_a_study_in_which_nobody_came_twice_is_one_line(days: Workflow) -> None:
    words = ("--dry-run", "--config", "change={subjects: [C, A], sessions: ['2', '10']}")
    text = days.run(*WORDS, *words, check=False)
    lines = [line for line in text.splitlines() if "has one session" in line]
    assert len(lines) == 1
    assert "most recent call last" not in text
