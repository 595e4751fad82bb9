"""A packed cohort of four small scans, and a network small enough for it."""

import pytest

from pmrpipe.methods.spec import Augmentation, Schedule, spec
from tests.helpers.packs import write_pack


@pytest.fixture
def pack(tmp_path):
    return write_pack(tmp_path / "arrays.safetensors")


@pytest.fixture
def small():
    """`pmr` with a tiny network: four steps, validated every two."""
    shipped = spec("pmr")
    network = shipped.parameters["network"]["component"]
    narrow = {"component": network, "channels": [4, 4, 4, 4], "head": 4}
    parameters = shipped.parameters | {"network": narrow}
    schedule = Schedule(max_steps=4, validate_every=2, augmentation=Augmentation(flip=True))
    return shipped.model_copy(update={"parameters": parameters, "schedule": schedule})
