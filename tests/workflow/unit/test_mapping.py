"""Which scans target `maps` shows, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pmrpipe.base.errors import InputError
from pmrpipe.study.config import parse
from pmrpipe.workflow import mapping
from pmrpipe.workflow.plan import Plan

TINY = yaml.safe_load(
    (Path(__file__).resolve().parents[3] / "config" / "tiny.yaml").read_text(encoding="utf-8")
)
TO_TEMPLATE = {"pairs": {"policy": "to-template"}}


def plan(**keys: object) -> Plan:
    return Plan(parse(TINY | {"methods": ["affine", "syn"]} | keys))


def test_every_scan_that_is_registered_to_the_template_gets_a_map() -> None:
    study = plan(**TO_TEMPLATE, maps={"smooth_mm": 6})
    assert mapping.scans(study) == ["sub-03", "sub-04"]
    paths = study.results
    assert mapping.reading(study, "sub-03") == {
        "pairs": [paths.registered("syn", f"sub-03_to_{paths.space.key}")],
        "xfm": paths.affine("sub-03"),
    }
    assert mapping.mapping(study, "sub-03").smooth_mm == 6
    assert mapping.gathered(study) == {
        "maps": [paths.log_jacobian(key) for key in ("sub-03", "sub-04")]
    }


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "pairs: no scan is registered to the template"),
        (TO_TEMPLATE | {"maps": {"method": "pmr"}}, "`pmr` is not among the methods affine, syn"),
        (TO_TEMPLATE | {"maps": {"method": "affine"}}, "`affine` changes no local volume"),
    ],
)
def test_a_study_that_has_nothing_to_show_is_one_line(keys: dict, message: str) -> None:
    with pytest.raises(InputError) as error:
        mapping.wanted(plan(**keys))
    assert message in str(error.value)


def test_covariates_are_checked_before_the_first_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "participants.tsv"
    table.write_text("participant_id\tage\n03\t30\n", encoding="utf-8")
    monkeypatch.setattr(mapping, "participants", lambda study: table)
    with pytest.raises(InputError, match="lacks 1 subjects, such as sub-04"):
        mapping.wanted(plan(**TO_TEMPLATE))
