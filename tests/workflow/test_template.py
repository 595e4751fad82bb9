"""The target `template` of a study."""

from __future__ import annotations

import pytest

from pmrpipe.study.paths import Results
from pmrpipe.study.template_paths import TemplatePaths

from .conftest import Workflow

TINY = ("--configfile", "config/tiny.yaml")
MEAN = "template={name: mean, method: greedy, refine: 0, rounds: 1}"


def test_the_target_makes_what_the_study_names_and_a_second_run_nothing(tiny: Workflow) -> None:
    tiny.run("template", *TINY, "--config", MEAN)
    paths = TemplatePaths.of(Results(tiny.folder / "results" / "tiny", 4.0), "mean")
    made = (paths.brain, paths.mask, paths.dseg, paths.space, paths.rounds, paths.page)
    assert all(path.exists() for path in made)
    assert "Nothing to be done" in tiny.run("template", *TINY, "--config", MEAN)
    assert "make_template" not in tiny.planned(*TINY, "--config", MEAN)


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ("template={method: greedy}", "the study names none"),
        ("template={name: MNI152NLin2009aSym}", "comes with pmrpipe"),
        ("template={name: one, subjects: ['01']}", "two subjects"),
        ("template={name: one, method: greedy, refine: 5}", "`greedy` is no network"),
        (
            "template={name: one, initial: absent.nii.gz}",
            "template.initial: there is no file absent.nii.gz",
        ),
        ("template={name: absent, subjects: ['01', '99']}", "sub-99 has no T1w scan"),
        ("template={name: one, contrasts: [T2w]}", "T2w: fewer than two subjects have one"),
    ],
)
def test_what_a_study_cannot_make_is_said_in_one_line(
    workflow: Workflow, section: str, problem: str
) -> None:
    text = workflow.run("template", *TINY, "--dry-run", "--config", section, check=False)
    assert len({line for line in text.splitlines() if problem in line}) == 1
    assert "most recent call last" not in text
