"""What a study's plan says of weights."""

from pathlib import Path

import pytest
import yaml

from pmrpipe.errors import InputError
from pmrpipe.plan import Plan

CONFIG = Path(__file__).resolve().parents[1] / "config" / "tiny.yaml"


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
