"""Training on several cohorts: what is written, resumed and refused."""

import json

import numpy as np
import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_json
from pmrpipe.images.volume import Grid
from pmrpipe.stages.train.fit import fit
from pmrpipe.study.pack import Origin, pack
from tests.helpers.packs import KEYS, scan

GRID = Grid((24, 20, 28), np.eye(4))


def other_pack(path, count=3, grid=GRID, first=10, **origin):
    keys = tuple(f"sub-x{n}" for n in range(count))
    images = {key: scan(first + n)[0][: grid.shape[0]] for n, key in enumerate(keys)}
    pack(images, {}, grid, path, origin=Origin("other", keys, **origin))
    return path


def train(spec, arrays, out, **options):
    words = {"network_mm": 1.0, "device": "cpu", "train": KEYS[:2], "validation": KEYS[2:]}
    fit(spec, arrays, out, **(words | options))
    return [(out / name).read_bytes() for name in ("weights.safetensors", "history.tsv")]


def test_model_json_names_every_cohort_with_licence_and_weight(small, pack, tmp_path):
    path = other_pack(tmp_path / "b", dataset="Ours", licence="CC0", doi="10.1/x")
    both = {"cohorts": {"b": path}, "weights": {"b": 2.0, "own": 3.0}}
    train(small, pack, tmp_path / "fit", **both)
    assert read_json(tmp_path / "fit" / "model.json")["cohorts"] == {
        "own": {"weight": 3, "scans": 2, "subjects": 2}
        | {"Name": None, "License": None, "DatasetDOI": None},
        "b": {"weight": 2, "scans": 3, "subjects": 3}
        | {"Name": "Ours", "License": "CC0", "DatasetDOI": "10.1/x"},
    }


def test_a_longer_run_on_two_cohorts_continues_a_shorter_one_to_the_byte(small, pack, tmp_path):
    def steps(count):
        schedule = small.schedule.model_copy(update={"max_steps": count})
        return small.model_copy(update={"schedule": schedule})

    both = {"cohorts": {"b": other_pack(tmp_path / "b")}, "weights": {"b": 2.0}}
    train(steps(4), pack, tmp_path / "cut", **both)
    said = []
    resumed = train(steps(8), pack, tmp_path / "cut", **both, say=said.append)
    assert "resuming at step 4" in said[0]
    assert resumed == train(steps(8), pack, tmp_path / "whole", **both)
    said.clear()
    both["weights"] = {"b": 1.0}
    train(steps(4), pack, tmp_path / "cut", **both, say=said.append)
    assert "of another training" in said[0]


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: path, "no such file"),
        (lambda path: path.write_bytes(b"hello") and path, "is no pack of pmrpipe"),
        (lambda path: other_pack(path, grid=Grid((20, 20, 28), np.eye(4))), "a grid of 20x20x28"),
        (lambda path: other_pack(path, count=1), "`b` has fewer than two subjects"),
    ],
)
def test_a_cohort_that_cannot_be_trained_on_is_refused_in_one_line(
    small, pack, tmp_path, make, problem
):
    path = make(tmp_path / "b")
    with pytest.raises(InputError, match=problem) as error:
        train(small, pack, tmp_path / "fit", cohorts={"b": path})
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "fit").exists()


def test_a_pack_says_whose_scans_it_holds(tmp_path):
    path = other_pack(tmp_path / "b", dataset="Ours", licence="CC0")
    length = int.from_bytes(path.read_bytes()[:8], "little")
    header = json.loads(path.read_bytes()[8 : 8 + length])["__metadata__"]["pmrpipe"]
    said = {"cohort": "other", "dataset": "Ours", "licence": "CC0"}
    assert said.items() <= json.loads(header).items()
    assert json.loads(header)["train"] == ["sub-x0", "sub-x1", "sub-x2"]
