"""`preprocessing: whole`: one job per scan, and the same files."""

from __future__ import annotations

import pytest

from pmrpipe.study.paths import Results

from .conftest import Workflow

TINY = ("--configfile", "config/tiny.yaml", "--config", "preprocessing=whole")
KEY = "sub-04"


def test_a_scan_is_one_job(workflow: Workflow) -> None:
    planned = workflow.planned(*TINY)
    assert {"preprocess_scan", "labels", "qc_page", "pack"} <= planned
    assert not planned & {"brain", "resample", "affine", "whiten"}


@pytest.mark.slow
def test_its_files_are_those_of_the_steps(tiny: Workflow, workflow: Workflow) -> None:
    steps, whole = (Results(clone.folder / "results" / "tiny", 4.0) for clone in (tiny, workflow))
    made = [whole.preproc(KEY), whole.dseg(KEY), whole.affine(KEY), whole.resampled(KEY)]
    workflow.run(*(str(path.relative_to(workflow.folder)) for path in made), *TINY)
    for path in [*made, whole.mask(KEY), whole.brain(KEY)]:
        assert path.read_bytes() == (steps.root / path.relative_to(whole.root)).read_bytes(), path
