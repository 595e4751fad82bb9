"""`pmrpipe bids`: from the call of a BIDS App to a study."""

from __future__ import annotations

from pathlib import Path

import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.cli import main
from pmrpipe.study.config import load
from pmrpipe.study.options.bids_app import BidsApp
from pmrpipe.workflow.bids_app import write_study
from pmrpipe.workflow.plan import Plan


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    for name in ("sub-01", "sub-02", "sub-03"):
        (tmp_path / "raw" / name / "anat").mkdir(parents=True)
        (tmp_path / "raw" / name / "anat" / f"{name}_T1w.nii.gz").touch()
    return tmp_path / "raw"


def planned(dataset: Path, out: Path, **options: object) -> Plan:
    study = write_study(dataset, out, BidsApp.model_validate(options))
    return Plan.of(load(study).model_dump(mode="json"))


def test_every_participant_is_registered_to_the_template(dataset: Path, tmp_path: Path) -> None:
    plan = planned(dataset, tmp_path / "derivatives" / "pmrpipe")
    assert plan.methods == ["affine", "pmr-plus", "pmr-plus_refine-20"]
    assert plan.trained == []
    assert [moving for moving, _ in plan.pairs] == ["sub-01", "sub-02", "sub-03"]
    assert plan.results.root == tmp_path / "derivatives" / "pmrpipe"


def test_a_further_participant_leaves_the_jobs_of_others(dataset: Path, tmp_path: Path) -> None:
    one, two = (
        planned(dataset, tmp_path / "out", participant_label=labels).batches("affine")
        for labels in (["01"], ["sub-01", "02"])
    )
    assert set(one) < set(two)
    assert len(two) == 2


def test_a_space_of_ones_own_is_that_of_the_study(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "space.yaml"
    path.write_text("name: Mine\nfiles: {brain: brain.nii.gz}\n")
    (tmp_path / "brain.nii.gz").touch()
    monkeypatch.chdir(tmp_path)
    plan = planned(dataset, tmp_path / "out", space="space.yaml")
    assert plan.study.space == str(path)
    assert plan.results.space.name == "Mine"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": ["pmr"]}, "pmr: comes without weights"),
        ({"space": "Atlantis"}, "Atlantis: is no space and no file"),
        ({"output": "raw"}, "is the dataset itself"),
        ({"output": "pmrpipe 0.1"}, "cannot be the name of a study"),
        ({"dataset": "absent"}, "no such folder"),
    ],
)
def test_what_cannot_be_done_ends_in_one_line(
    dataset: Path, tmp_path: Path, changes: dict, message: str
) -> None:
    folder = tmp_path / changes.pop("dataset", dataset.name)
    out = tmp_path / changes.pop("output", "out")
    with pytest.raises(InputError, match=message):
        write_study(folder, out, BidsApp.model_validate(changes))
    assert not (tmp_path / "out").exists()


def test_the_group_is_everybody(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words = [str(dataset), str(tmp_path / "out"), "group", "--participant-label", "01"]
    assert main(["bids", *words]) == 2
    assert "goes with the level participant" in capsys.readouterr().err


@pytest.mark.parametrize("said", ['{"Name": "of others"}', '{"DatasetType": "raw"}'])
def test_no_study_is_written_into_a_dataset_of_others(
    dataset: Path, tmp_path: Path, said: str
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "dataset_description.json").write_text(said)
    with pytest.raises(InputError, match="other: is a dataset that pmrpipe did not make"):
        write_study(dataset, other, BidsApp())
    assert [path.name for path in other.iterdir()] == ["dataset_description.json"]
