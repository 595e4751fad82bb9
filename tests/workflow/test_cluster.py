"""Jobs that are submitted: the generic profile with a submitter that starts them here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from pmrpipe.study.paths import Results

from .conftest import REPO, Workflow

pytest.importorskip("snakemake_executor_plugin_cluster_generic")
KEY = "sub-03"
SUBMIT = """#!/bin/sh
# What a job asked for, then the job itself, in the background.
echo "$1 $2" >> {folder}/asked.txt
setsid sh "$3" > /dev/null 2>&1 &
echo $!
"""


def test_a_submitted_scan_equals_a_local_one(tiny: Workflow, workflow: Workflow, tmp_path: Path):
    submit = tmp_path / "submit.sh"
    submit.write_text(SUBMIT.format(folder=tmp_path))
    submit.chmod(0o755)
    results = [Results(clone.folder / "results" / "tiny", 4.0) for clone in (tiny, workflow)]
    made = (results[1].preproc(KEY), results[1].dseg(KEY), results[1].qc_page(KEY))
    shutil.copytree(tiny.folder / "data", workflow.folder / "data")
    said = workflow.run(
        *(str(path.relative_to(workflow.folder)) for path in made),
        *("--workflow-profile", "profiles/generic", "--latency-wait", "10", "--jobs", "2"),
        *("--cluster-generic-submit-cmd", f"{submit} {{threads}} {{resources.mem_mb}}"),
        *("--configfile", "config/tiny.yaml"),
    )
    for path in made:
        local = results[0].root / path.relative_to(results[1].root)
        assert path.read_bytes() == local.read_bytes()
    asked = [line.split() for line in (tmp_path / "asked.txt").read_text().splitlines()]
    # Template, its figure; the scan's six steps are one job. Each states its needs.
    assert len(asked) == 3
    assert said.count("group job ") == 1
    assert all(int(threads) <= 2 and int(memory) >= 1000 for threads, memory in asked)


@pytest.mark.parametrize("name", ["slurm", "generic"])
def test_profiles_name_rules_that_exist(name):
    profile = yaml.safe_load((REPO / "profiles" / name / "profile.yaml").read_text())
    rules = "".join(path.read_text() for path in (REPO / "rules").glob("*.smk"))
    for entry in profile["groups"]:
        assert f"rule {entry.split('=')[0]}:" in rules
