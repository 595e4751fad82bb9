"""Simulated heads never stand in place of scans of people."""

from __future__ import annotations

from pathlib import Path

import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import write_json, write_text
from pmrpipe.cli import main
from pmrpipe.stages.cohort.embedded import write_dataset
from pmrpipe.stages.cohort.simulated import require_simulated
from pmrpipe.workflow.plan import Plan

SCAN = "sub-01/anat/sub-01_T1w.nii.gz"
STUDY = {"cohort": "mine", "reader": "embedded", "methods": ["affine"], "labels": "embedded"}


@pytest.mark.parametrize(
    "name",
    [SCAN, "sub-9/ses-1/anat/sub-9_ses-1_T1w.nii", "sub-1/func/sub-1_bold.nii.gz",
     "participants.tsv", "README", "dataset_description.json"],
)  # fmt: skip
def test_files_of_people_are_left_alone(tmp_path: Path, capsys, name: str) -> None:
    """As when the study's own file was forgotten, and `root` alone was said."""
    raw = tmp_path / "raw"
    content = '{"Name": "mine", "GeneratedBy": [{"Name": "HeuDiConv"}]}'
    write_text(raw / name, content)
    with pytest.raises(InputError, match=rf"raw: holds {name}, which pmrpipe did not") as refused:
        Plan.of({**STUDY, "root": str(raw), "results": str(tmp_path / "results")})
    assert "\n" not in str(refused.value)
    for words in (["--only", "1"], ["--dataset-only"], ["--subjects", "3"]):
        assert main(["simulate", str(raw), "--mm", "4", *words]) == 2
        assert "which pmrpipe did not simulate" in capsys.readouterr().err
    assert [path for path in raw.rglob("*") if path.is_file()] == [raw / name]
    assert (raw / name).read_text() == content


def test_what_was_simulated_is_simulated_again(tmp_path: Path) -> None:
    """Whole, after a kill, and while it is being written."""
    require_simulated(tmp_path / "nowhere")
    write_text(tmp_path / SCAN, "")
    write_text(tmp_path / "sub-02/anat/.tmp-1-sub-02_T1w.nii.gz", "")
    write_json(tmp_path / SCAN.replace(".nii.gz", ".json"), {"Simulated": True})
    require_simulated(tmp_path)
    write_dataset(tmp_path, 2, 4.0)
    require_simulated(tmp_path)
    (tmp_path / "dataset_description.json").unlink()
    require_simulated(tmp_path)


@pytest.mark.parametrize("word", ["mask", "labels", "orientation"])
def test_what_simulated_heads_have_of_their_own_is_not_overridden(
    tmp_path: Path, word: str
) -> None:
    value = "LAS" if word == "orientation" else "missing.nii"
    study = {**STUDY, "root": str(tmp_path), "overrides": {"sub-01": {word: value}}}
    with pytest.raises(InputError, match=rf"overrides\.sub-01\.{word}: is not for simulated heads"):
        Plan.of(study).cohort.of("test")
