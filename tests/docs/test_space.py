"""docs/how-to/space.md, followed: a small study in the space of a template of one's own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_json, read_tsv
from pmrpipe.images.transforms import read_affine
from pmrpipe.images.volume import read_image, write_volume
from pmrpipe.metrics.sidecar import require_comparable
from pmrpipe.study.paths import Results
from pmrpipe.study.space import Space

from ..workflow.conftest import Workflow, copy_workflow
from .pages import DOCS, blocks

PAGE = DOCS / "how-to" / "space.md"
SHIFT_MM = np.array([3.0, -4.0, 5.0])
STUDY = """cohort: own
reader: embedded
root: data/own
embedded: {subjects: 4, mm: 4.0}
labels: embedded
grid_mm: 4
preprocessing: whole
split: {test: ["03", "04"], train: ["01"], validation: ["02"]}
methods: [affine]
device: cpu
"""


def write_templates(folder: Path) -> None:
    """The files that the page names: the brain of MNI, moved, as brain and as head with mask."""
    brain = Space.load().brain(2)
    affine, inside = brain.affine.copy(), brain.data > 0.05
    affine[:3, 3] += SHIFT_MM
    head = np.where(inside, brain.data, np.float32(0.4)) * 1000
    folder.mkdir()
    write_volume(folder / "colin_brain.nii.gz", brain.data * 1000, affine, np.float32)
    write_volume(folder / "colin_head.nii.gz", head, affine, np.float32)
    write_volume(folder / "colin_mask.nii.gz", inside, affine)


def of_page(title: str) -> list[str]:
    return [block.text for block in blocks(PAGE) if block.title == title]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A clone with the page's files; the study names the YAML."""
    clone = copy_workflow(tmp_path_factory.mktemp("own") / "clone")
    write_templates(clone.folder / "templates")
    (yaml,) = of_page("templates/colin.yaml")
    (clone.folder / "templates" / "colin.yaml").write_text(yaml, encoding="utf-8")
    (clone.folder / "study.yaml").write_text(STUDY + of_page("study.yaml")[1], encoding="utf-8")
    return clone


def test_both_ways_of_the_page_give_the_template_that_they_name(folder: Workflow) -> None:
    bare, yaml = (
        Space.load(folder.folder / re.sub(r"^space: |\n$", "", text))
        for text in of_page("study.yaml")
    )
    assert (bare.name, yaml.name) == ("colinbrain", "Colin27")
    assert "Holmes" in yaml.citation
    assert bare.grid() == yaml.grid()
    np.testing.assert_allclose(bare.brain(4).data, yaml.brain(4).data, atol=0.05)


def test_the_plan_names_the_space_in_every_file_on_its_grid(folder: Workflow) -> None:
    text = folder.run("--dry-run", "--configfile", "study.yaml")
    assert "sub-03_space-Colin27_res-4_desc-preproc_T1w.nii.gz" in text
    assert "results/own/tpl-Colin27/anat/tpl-Colin27_res-4_desc-brain_T1w.nii.gz" in text
    assert "MNI152" not in text


def test_a_template_that_is_not_there_ends_the_plan_in_one_line(folder: Workflow) -> None:
    words = ("--dry-run", "--configfile", "study.yaml", "--config", "space=templates/no.nii.gz")
    text = folder.run(*words, check=False)
    assert "templates/no.nii.gz: is no space and no file" in text
    assert "Traceback" not in text


@pytest.fixture(scope="module")
def done(folder: Workflow) -> Results:
    folder.run("--configfile", "study.yaml")
    space = Space.load(folder.folder / "templates" / "colin.yaml")
    return Results(folder.folder / "results" / "own", 4.0, space)


@pytest.mark.slow
def test_a_study_in_a_space_of_ones_own_says_so_everywhere(done: Results) -> None:
    for image in (done.preproc("sub-03"), done.dseg("sub-03"), done.template):
        content = read_json(image.with_name(image.name.replace(".nii.gz", ".json")))
        assert content["SpatialReference"] == "Colin27"
        assert read_image(image).grid == done.space.grid(4)
    affine = read_json(done.affine("sub-03").with_suffix(".json"))
    assert "points of Colin27 (fixed) to points of the T1w (moving)" in affine["Direction"]
    page = done.report.read_text(encoding="utf-8")
    assert "mm in the space Colin27" in page
    assert "brought to the template Colin27" in page
    assert "Holmes C J" in page
    assert "MNI152" not in page
    assert "Fonov" not in page
    assert "Colin27" in done.qc_page("sub-03").read_text(encoding="utf-8")
    names = [path.name for path in done.root.rglob("*") if path.is_file()]
    assert not [name for name in names if "MNI152" in name]


@pytest.mark.slow
def test_brains_lie_on_the_moved_template(done: Results, folder: Workflow) -> None:
    """The simulation knows where each brain's points lie in MNI space."""
    assert read_tsv(done.summary)["dice_mean"].between(0.2, 1).all()
    truth = folder.folder / "data/own/derivatives/truth/sub-03/anat"
    (known,) = truth.glob("*_xfm.json")
    matrix = np.array(json.loads(known.read_text())["AffineRAS"])
    centre = np.array([0, -18, 0, 1.0])
    ours = read_affine(done.affine("sub-03")) @ (centre + np.append(SHIFT_MM, 0))
    assert np.linalg.norm((ours - matrix @ centre)[:3]) < 6


@pytest.mark.slow
def test_its_tables_are_not_compared_with_those_of_another_space(done: Results) -> None:
    mine = read_json(done.score("affine") / "by_pair.json")
    assert mine["space"] == "Colin27"
    other = mine | {"space": "MNI152NLin2009aSym"}
    with pytest.raises(InputError, match="affine: space differs from syn"):
        require_comparable({"syn": other, "affine": mine})
