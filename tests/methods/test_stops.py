"""Reading in fives must judge as reading every step does."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pmrpipe.methods import stops
from pmrpipe.methods.stops import Ascent, read, steps_between

VALUES = st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=40)


def climbed(values, monkeypatch, every):
    """Where an ascent through these values stops, and its best point."""
    monkeypatch.setattr(stops, "steps_between", lambda device: every)
    ascent = Ascent(torch.tensor(-1.0), patience=3, progress=0.1)
    for number, value in enumerate(values):
        ascent.add(torch.tensor(float(number)), torch.tensor(value))
        if ascent.stuck:
            break
    return float(ascent.best), ascent.stuck


@given(VALUES)
def test_in_fives_the_same_point_is_best(values):
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert climbed(values, monkeypatch, 5) == climbed(values, monkeypatch, 1)


def test_it_stops_when_nothing_was_gained_for_as_long_as_patience(monkeypatch):
    values = [0.0, 0.5, 0.9, 0.91, 0.92, 0.93, 5.0]
    assert climbed(values, monkeypatch, 1) == (5.0, True)


def test_a_device_is_read_once_in_five_steps_and_the_cpu_every_step():
    assert steps_between(torch.device("cpu")) == 1
    assert steps_between(torch.device("meta")) == steps_between(torch.device("cuda")) == 5


def test_nothing_can_be_read_on_meta_and_nothing_stops():
    value = torch.empty((), device="meta")
    ascent = Ascent(value, patience=1, progress=0.1)
    for _ in range(20):
        ascent.add(value, value)
    assert read([value]) is None
    assert not ascent.stuck
