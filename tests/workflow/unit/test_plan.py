"""What a study's plan says of weights."""

from pathlib import Path

import pytest
import yaml

from pmrpipe.base.errors import InputError
from pmrpipe.workflow.plan import Plan

CONFIG = Path(__file__).resolve().parents[3] / "config" / "tiny.yaml"


def plan(**keys: object) -> Plan:
    return Plan.of(yaml.safe_load(CONFIG.read_text()) | keys)


def test_training_begins_where_the_study_says():
    found = plan(init={"pmr": "~/old"}, seeds={"pmr": [1]})
    assert found.init("pmr") == found.init("pmr_seed-1") == Path("~/old").expanduser()
    assert found.init("pmr-cc") is None
    assert "pmr" in found.trained


def test_given_weights_are_not_trained():
    found = plan(weights={"pmr": "/weights"})
    assert found.weights("pmr") == Path("/weights")
    assert found.trained == ["pmr-cc"]


@pytest.mark.parametrize("key", ["init", "refine", "seeds"])
def test_a_name_that_is_no_network_ends_in_one_line(key):
    value = {"init": "folder", "refine": 5, "seeds": [1]}[key]
    with pytest.raises(InputError, match="`syn` is no learned method"):
        plan(**{key: {"syn": value}})


def test_keys_of_a_shipped_method_outlive_its_place_in_the_list():
    found = plan(weights={"pmr-plus": "shipped"}, refine={"pmr-plus": 5})
    assert found.methods == ["affine", "syn", "pmr", "pmr-cc"]
    with pytest.raises(InputError, match="`pmr-pluss` is not among the methods"):
        plan(weights={"pmr-pluss": "shipped"})


def test_shipped_weights_keep_their_voxel_size():
    shipped = {"weights": {"pmr-plus": "shipped"}, "refine": {"pmr-plus": 5}}
    found = plan(methods=["affine", "pmr", "pmr-plus"], network_mm=6, **shipped)
    assert found.network_mm("pmr") == 6
    assert found.network_mm("pmr-plus") is found.network_mm("pmr-plus_refine-5") is None
    assert plan(weights={"pmr": "/weights"}, network_mm=6).network_mm("pmr") == 6
