"""Volumes of labels and regions, and asymmetry, in closed form."""

import numpy as np
import pandas as pd
import pytest

from pmrpipe.stages.parcellate.volumes import COLUMNS, counterpart, volumes

TABLE = pd.DataFrame(
    {
        "index": [1, 2, 3, 4],
        "name": ["Left Hippocampus", "Right Hippocampus", "Brain Stem", "Left Cuneus"],
        "region": ["hippocampus", "hippocampus", np.nan, np.nan],
    }
)


@pytest.fixture
def measured():
    labels = np.zeros((10, 10, 10), int)
    labels[0], labels[1, :5], labels[2, :2] = 1, 2, 3
    return volumes(labels, np.diag([1.0, 2.0, 0.5, 1.0]), TABLE, "sub-01", 1.5e6)


def test_a_volume_is_voxels_times_their_size(measured):
    assert list(measured.columns) == list(COLUMNS)
    sizes = measured.set_index("name")["volume_mm3"]
    assert sizes["Left Hippocampus"] == 100
    assert sizes["Right Hippocampus"] == 50
    assert sizes["Left Cuneus"] == 0
    assert (measured["icv_mm3"] == 1.5e6).all()


def test_a_region_is_the_sum_of_its_labels_and_has_no_number(measured):
    region = measured[measured["name"] == "hippocampus"].iloc[0]
    assert region["volume_mm3"] == 150
    assert pd.isna(region["label"])


def test_asymmetry_compares_a_label_with_its_counterpart(measured):
    values = measured.set_index("name")["asymmetry"]
    assert (
        values["Left Hippocampus"] == values["Right Hippocampus"] == pytest.approx(1 / 6, abs=1e-5)
    )
    assert np.isnan(values["Brain Stem"])
    assert np.isnan(values["Left Cuneus"])


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Left Hippocampus", "Right Hippocampus"),
        ("ctx-lh-cuneus", "ctx-rh-cuneus"),
        ("Left-Cerebellum-Cortex", "Right-Cerebellum-Cortex"),
        ("L hippocampus", "R hippocampus"),
        ("LEFT insula", "RIGHT insula"),
        ("Right Hippocampus", None),
        ("Cleft of the lobule", None),
        ("3rd Ventricle", None),
    ],
)
def test_names_say_the_side_in_several_ways(name, other):
    assert counterpart(name) == other
