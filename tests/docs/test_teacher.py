"""docs/how-to/teacher.md and cohorts.md: what they show is accepted, and the index leads there."""

import yaml

from pmrpipe.methods.load import build
from pmrpipe.methods.spec import spec
from pmrpipe.study.config import parse

from .pages import DOCS, blocks


def _yaml(page: str, number: int = 0) -> str:
    return [b.text for b in blocks(DOCS / "how-to" / page) if b.language == "yaml"][number]


def test_the_student_of_the_page_is_a_method(tmp_path):
    path = tmp_path / "imitate.yaml"
    path.write_text(_yaml("teacher.md"), encoding="utf-8")
    method = spec(str(path))
    assert method.teacher.method == "greedy"
    assert sum(p.numel() for p in build(method).parameters()) > 1000


def test_the_study_of_two_contrasts_is_one():
    study = parse(yaml.safe_load(_yaml("teacher.md", 1)))
    (method,) = set(study.methods) - {"affine"}
    assert {*study.inputs.also} == {*spec(method).teacher.shown} - {None}


def test_the_cohorts_of_the_page_are_keys_of_a_study():
    study = parse({"root": "data", "cohort": "mine"} | yaml.safe_load(_yaml("cohorts.md")))
    assert study.cohorts["mine"].weight == 2
    assert study.cohorts["ds000001"].arrays.endswith(".safetensors")


def test_the_index_leads_to_both():
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    assert "(how-to/teacher.md)" in index
    assert "(how-to/cohorts.md)" in index
