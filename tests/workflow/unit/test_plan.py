"""What a study's plan says of weights."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import save_file

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import write_json, write_text
from pmrpipe.cli import main
from pmrpipe.workflow import files
from pmrpipe.workflow.plan import Plan

CONFIG = Path(__file__).resolve().parents[3] / "config" / "tiny.yaml"


def plan(**keys: object) -> Plan:
    return Plan.of(yaml.safe_load(CONFIG.read_text()) | keys)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Whole weights of `pmr` in `~/old`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    place = tmp_path / "old"
    write_json(place / "model.json", {"method": "pmr"})
    save_file({"a": np.zeros((3, 4), np.float32)}, place / "weights.safetensors")
    return place


def test_training_begins_where_the_study_says(folder):
    study = plan(init={"pmr": "~/old"}, seeds={"pmr": [1]})
    assert study.init("pmr") == study.init("pmr_seed-1") == folder
    assert study.init("pmr-cc") is None
    assert "pmr" in study.trained


def test_given_weights_are_not_trained(folder):
    study = plan(weights={"pmr": str(folder)})
    assert study.weights("pmr") == folder
    assert study.trained == ["pmr-cc"]


@pytest.mark.parametrize("key", ["init", "refine", "finetune", "seeds"])
def test_a_name_that_is_no_network_ends_in_one_line(key):
    value = {"init": "folder", "refine": 5, "finetune": 5, "seeds": [1]}[key]
    with pytest.raises(InputError, match="`syn` is no learned method"):
        plan(**{key: {"syn": value}})


def test_keys_of_a_shipped_method_outlive_its_place_in_the_list():
    study = plan(weights={"pmr-plus": "shipped"}, refine={"pmr-plus": 5})
    assert study.methods == ["affine", "syn", "pmr", "pmr-cc"]
    with pytest.raises(InputError, match="`pmr-pluss` is not among the methods"):
        plan(weights={"pmr-pluss": "shipped"})


def test_shipped_weights_keep_their_voxel_size(folder):
    shipped = {"weights": {"pmr-plus": "shipped"}, "refine": {"pmr-plus": 5}}
    study = plan(methods=["affine", "pmr", "pmr-plus"], network_mm=6, **shipped)
    assert study.network_mm("pmr") == 6
    assert study.network_mm("pmr-plus") is study.network_mm("pmr-plus_refine-5") is None
    assert plan(weights={"pmr": str(folder)}, network_mm=6).network_mm("pmr") == 6


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.unlink(), r"weights\.safetensors: cannot be read"),
        (lambda path: path.write_bytes(path.read_bytes()[:-5]), "is truncated"),
        (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"), "pointer"),
        (lambda path: path.write_bytes(b""), "holds no weights"),
        (lambda path: path.with_name("model.json").unlink(), r"model\.json: no such file"),
        (lambda path: write_json(path.with_name("model.json"), {"method": "faim"}), "of `faim`"),
    ],
)
def test_weights_that_cannot_be_used_end_in_one_line_before_the_first_job(folder, spoil, words):
    spoil(folder / "weights.safetensors")
    with pytest.raises(InputError, match=words) as caught:
        plan(weights={"pmr": str(folder)})
    assert "\n" not in str(caught.value)


def test_label_tables_are_read_before_the_first_job(tmp_path):
    (tmp_path / "labels.tsv").write_text("index\tname\tregion\tscored\n1\ta\tn/a\tmaybe\n")
    with pytest.raises(InputError, match=r"line 2: column scored says 'maybe' for label 1"):
        plan(labels=str(tmp_path / "labels.tsv"))


def test_without_a_tested_scan_nothing_begins():
    with pytest.raises(InputError, match=r"split\.test: no scan is tested"):
        plan(split={"train": ["01", "02", "03", "04"]})


def test_a_study_that_says_that_nobody_is_tested_can_train_and_nothing_else():
    study = plan(split={"train": ["01", "02"], "test": []})
    assert study.pairs == []
    with pytest.raises(InputError, match=r"split\.test: no scan is tested"):
        files.scored_parts(study, "affine")


@pytest.mark.parametrize("way", ["same", "relative", "link", "other dataset", "broken"])
def test_results_never_land_in_somebody_elses_dataset(tmp_path, monkeypatch, way):
    raw = tmp_path / "study"
    text = '{"Name": "mine", "GeneratedBy": [{"Name": "HeuDiConv"}]}'
    write_text(raw / "dataset_description.json", text if way != "broken" else "{")
    for name in ("01", "02"):
        write_text(raw / f"sub-{name}" / "anat" / f"sub-{name}_T1w.nii.gz", "")
    (tmp_path / "link").symlink_to(raw)
    monkeypatch.chdir(tmp_path)
    keys = {
        "same": {"root": str(raw), "results": str(tmp_path), "cohort": "study"},
        "relative": {"root": "study", "results": ".", "cohort": "study"},
        "link": {"root": "study", "results": ".", "cohort": "link"},
        "other dataset": {"root": str(tmp_path / "else"), "results": ".", "cohort": "link"},
        "broken": {"root": str(tmp_path / "else"), "results": ".", "cohort": "study"},
    }[way]
    (tmp_path / "else").mkdir()
    study = {"reader": "bids", "methods": ["affine"], **keys}
    with pytest.raises(InputError, match=r"its place|written over|readable JSON") as caught:
        Plan.of(study)
    assert "\n" not in str(caught.value)
    assert main(["cohort", json.dumps(study)]) == 2
    held = (raw / "dataset_description.json").read_text()
    assert held == (text if way != "broken" else "{")


def test_results_of_an_earlier_run_are_ours(tmp_path):
    for name in ("01", "02"):
        write_text(tmp_path / "raw" / f"sub-{name}" / "anat" / f"sub-{name}_T1w.nii.gz", "")
    study = {"reader": "bids", "root": str(tmp_path / "raw"), "results": str(tmp_path)}
    study |= {"methods": ["affine"], "cohort": "mine"}
    for _ in range(2):
        assert main(["cohort", json.dumps(study)]) == 0
    assert [moving for moving, _ in Plan.of(study).pairs] == ["sub-01", "sub-02"]


def test_results_below_a_file_are_refused_before_any_job(tmp_path):
    for name in ("01", "02"):
        write_text(tmp_path / "raw" / f"sub-{name}" / "anat" / f"sub-{name}_T1w.nii.gz", "")
    study = {"reader": "bids", "root": str(tmp_path / "raw"), "methods": ["affine"]}
    write_text(tmp_path / "notes.txt", "")
    for results in ("notes.txt", "notes.txt/below"):
        with pytest.raises(InputError, match=r"notes\.txt: is no folder, and results go to one"):
            Plan.of(study | {"results": str(tmp_path / results), "cohort": "mine"})
