"""Optional outputs of the rules, and Snakemake's own report."""

from __future__ import annotations

import re

import pytest

from .conftest import REPO, Workflow

TINY = ("--configfile", "config/tiny.yaml", "--config")


@pytest.mark.parametrize(
    ("keys", "rules", "others"),
    [
        (("uncertainty=4",), {"register_pairs_uncertain", "level_fields"}, set()),
        (("uncertainty=0",), {"level_fields"}, {"register_pairs_uncertain"}),
        (
            ("uncertainty=4", "methods=[affine,faim]"),
            {"register_pairs"},
            {"register_pairs_uncertain", "level_fields"},
        ),
        (
            ("uncertainty=4", "methods=[affine,faim]", "refine={faim: 3}"),
            {"register_pairs", "register_pairs_uncertain"},
            {"level_fields"},
        ),
        (
            ("uncertainty=4", "methods=[voxelmorph]"),
            {"register_pairs_uncertain"},
            {"register_pairs", "level_fields"},
        ),
    ],
    ids=["asked", "default", "no-posterior", "optimised", "no-levels"],
)
def test_maps_and_level_fields_are_planned_where_a_method_has_them(
    workflow: Workflow, keys: tuple[str, ...], rules: set[str], others: set[str]
) -> None:
    planned = workflow.planned(*TINY, *keys)
    assert rules <= planned
    assert not planned & others


def test_a_job_is_told_of_samples_only_where_its_method_has_a_posterior(workflow: Workflow) -> None:
    text = workflow.run("--dry-run", "--printshellcmds", *TINY, "uncertainty=4", "refine={pmr: 3}",
                        "finetune={pmr: 2}")  # fmt: skip
    calls = [line for line in text.splitlines() if " register-pairs " in line]
    told = {re.search(r"register/([^/]+)/batches", call)[1]: call for call in calls}
    listed = {name for name, call in told.items() if "--uncertainty 4" in call}
    assert listed == {"pmr", "pmr-cc", "pmr_refine-3"}
    assert "--refine 3 --refine-mm 1.0" in text
    assert "--finetune 2 --finetune-rate 2e-05" in told["pmr_finetune-2"]
    others = {"pmr_refine-3", "pmr_finetune-2"}
    assert set(told) == {"affine", "syn", "pmr", "pmr-cc", *others}


def test_one_sample_ends_in_one_line(workflow: Workflow) -> None:
    text = workflow.run("--dry-run", *TINY, "uncertainty=1", check=False)
    assert "key `uncertainty`" in text
    assert "at least 2" in text
    assert "Traceback" not in text


def test_every_caption_is_there_and_used() -> None:
    used = [
        name
        for path in (REPO / "rules").glob("*.smk")
        for name in re.findall(r'caption="\.\./workflow/report/(\w+)\.rst"', path.read_text())
    ]
    assert sorted(used) == sorted(path.stem for path in (REPO / "workflow/report").glob("*.rst"))


def test_snakemakes_report_holds_tables_captions_and_the_page(tiny: Workflow) -> None:
    pytest.importorskip("pygments")
    tiny.run("--report", "snakemake.html", *TINY[:2])
    text = (tiny.folder / "snakemake.html").read_text(encoding="utf-8")
    for caption in ("Differences of mean Dice", "terms of the objective", "Measures of every"):
        assert caption in text
    for category in ("Cohort", "Quality", "Training", "Scores", "Report"):
        assert f'"{category}"' in text
