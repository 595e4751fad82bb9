"""Target `modalities`: T2w scans on the grids of their T1w, by the workflow itself."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from pmrpipe.base.files import read_json
from pmrpipe.images.volume import read_grid, read_image

from .conftest import Workflow, copy_workflow

pytestmark = pytest.mark.slow
STUDY = {
    "cohort": "both",
    "reader": "embedded",
    "root": "data/both",
    "grid_mm": 8,
    "embedded": {"subjects": 4, "mm": 4.0, "contrasts": ["T2w"]},
    "split": {"test": ["01", "02"]},
    "pairs": {"moving": "T2w", "fixed": "T1w"},
    "methods": ["affine"],
    "preprocessing": "whole",
}
BOTH = ("T1w", "T2w")
WORDS = ("modalities", "--configfile", "study.yaml")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    workflow = copy_workflow(tmp_path_factory.mktemp("modalities") / "clone")
    (workflow.folder / "study.yaml").write_text(yaml.safe_dump(STUDY), encoding="utf-8")
    workflow.run(*WORDS)
    return workflow


def test_each_session_gets_its_scans_on_the_grid_of_the_t1w_and_a_page(both: Workflow) -> None:
    folder = both.folder / "results" / "both" / "modalities"
    for key in ("sub-01", "sub-02"):
        t1w = both.folder / "data" / "both" / key / "anat" / f"{key}_T1w.nii.gz"
        assert read_grid(folder / key / f"{key}_space-T1w_T2w.nii.gz") == read_grid(t1w)
        quality = read_json(folder / key / f"{key}_space-T1w_T2w.json")["Quality"]
        assert quality["cover"] > 0.95
        assert quality["doubts"] == []
        assert "Checkerboard" in (folder / key / "page.html").read_text(encoding="utf-8")
    assert "Nothing to be done" in both.run(*WORDS)


def test_a_study_of_t1w_alone_is_one_line(both: Workflow) -> None:
    words = ("--dry-run", "--config", "pairs={moving: T1w, fixed: T1w}")
    text = both.run(*WORDS, *words, check=False)
    lines = [line for line in text.splitlines() if "no scan of another contrast has" in line]
    assert len(lines) == 1
    assert "most recent call last" not in text


def test_a_template_of_the_study_has_both_contrasts(both: Workflow) -> None:
    section = "{name: pair, method: greedy, refine: 0, rounds: 1, contrasts: [T2w]}"
    words = ("template", "--configfile", "study.yaml", "--config", f"template={section}")
    both.run(*words)
    folder = both.folder / "results" / "both" / "template" / "pair"
    images = [folder / f"tpl-pair_res-8_desc-brain_{contrast}.nii.gz" for contrast in BOTH]
    first, second = map(read_image, images)
    assert first.grid == second.grid
    inside = (first.data > 0) & (second.data > 0)
    assert np.corrcoef(first.data[inside], second.data[inside])[0, 1] < 0
    assert "Nothing to be done" in both.run(*words)
