"""Target `parcellate`: from raw scans to labels and volumes, by the workflow itself."""

import pytest
import yaml

from pmrpipe.base.files import read_tsv
from pmrpipe.images.volume import read_grid, read_labels
from tests.workflow.conftest import copy_workflow

pytestmark = pytest.mark.slow
STUDY = {
    "cohort": "atlases",
    "reader": "embedded",
    "root": "data/atlases",
    "results": "results",
    "labels": "embedded",
    "grid_mm": 8,
    "embedded": {"subjects": 4, "mm": 4.0},
    "split": {"train": ["01", "02"], "test": ["03", "04"]},
    "pairs": {"policy": "from-atlases"},
    "methods": ["affine"],
}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    workflow = copy_workflow(tmp_path_factory.mktemp("parcellate"))
    (workflow.folder / "study.yaml").write_text(yaml.safe_dump(STUDY), encoding="utf-8")
    workflow.run("parcellate", "--configfile", "study.yaml")
    return workflow


def test_every_tested_scan_gets_labels_on_its_own_grid(labelled):
    folder = labelled.folder / "results" / "atlases" / "parcellate"
    raw = labelled.folder / "data" / "atlases"
    for key in ("sub-03", "sub-04"):
        labels = read_labels(folder / key / f"{key}_dseg.nii.gz")
        assert labels.grid == read_grid(raw / key / "anat" / f"{key}_T1w.nii.gz")
        assert (folder / key / f"{key}_page.html").exists()
    volumes = read_tsv(folder / "volumes.tsv")
    assert set(volumes["subject"]) == {"sub-03", "sub-04"}
    scores = read_tsv(folder / "by_label.tsv")
    assert scores["dice"].mean() > 0.4


def test_another_fusion_registers_nothing_again(labelled):
    words = ("--configfile", "study.yaml", "--config", "parcellate={fusion: majority}")
    assert labelled.planned("parcellate", *words) == {"fuse", "volumes", "parcellate"}
    assert labelled.planned("parcellate", "--configfile", "study.yaml") == set()
