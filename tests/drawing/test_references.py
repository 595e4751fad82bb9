"""Charts of methods beside their reference: what is drawn is what the tables say."""

import numpy as np
import pandas as pd
import pytest

from pmrpipe.drawing import references
from pmrpipe.drawing.style import looks

NAMES = ["affine", "lddmm", "quicksilver"]
LOOKS = looks(NAMES, ["affine"])
PERCENT = ("p0.3_mm", "p5_mm", "p25_mm", "p50_mm", "p75_mm", "p95_mm", "p99.7_mm")


def errors(*kinds: str) -> pd.DataFrame:
    sizes = {"affine": 2.0, "quicksilver": 0.5}
    rows = [
        {"method": method, "reference": "lddmm", "kind": kind}
        | dict(zip(PERCENT, size * np.arange(7), strict=True))
        for kind in kinds
        for method, size in sizes.items()
    ]
    return pd.DataFrame(rows)


def test_there_is_a_panel_for_each_kind_of_pair():
    drawn = references.error_boxes(errors("image-to-image", "image-to-atlas"), LOOKS)
    assert [axes.get_title() for axes in drawn.axes] == ["image to atlas", "image to image"]
    assert drawn.axes[0].get_ylabel() == "Distance to lddmm, mm"
    medians = [line.get_ydata()[0] for line in drawn.axes[0].lines if line.get_linewidth() == 1.8]
    assert medians == [6.0, 1.5]


def test_overlap_has_a_box_for_each_method_with_pairs():
    table = pd.DataFrame(
        {"method": ["lddmm"] * 2 + ["quicksilver"], "target_overlap": [0.6, 0.8, 0.7]}
    )
    axes = references.overlap_boxes(table, LOOKS).axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["lddmm", "quicksilver"]


def test_histograms_have_the_reference_once():
    parts = [
        {"method": m, "reference": "lddmm", "kind": "image-to-image", "quantity": q,
         "low": [0.0, 0.02], "high": [0.02, 0.04], "percent": [75.0, 25.0]}
        for m in ("affine", "quicksilver")
        for q in ("log10_jacobian", "reference_log10_jacobian", "log10_jacobian_difference")
    ]  # fmt: skip
    drawn = references.volume_histograms(pd.concat(map(pd.DataFrame, parts)), LOOKS)
    labels = [text.get_text() for text in drawn.axes[0].get_legend().get_texts()]
    assert labels == ["affine", "quicksilver", "lddmm (reference)"]
    assert "minus that of lddmm" in drawn.axes[1].get_xlabel()


def test_times_have_a_panel_for_each_kind_of_device():
    one = "quicksilver"
    rows = [("lddmm", "cpu", 1, 60.0), (one, "cpu", 1, 6.0), (one, "cpu", 2, 3.5)]
    rows += [(one, "cuda", 1, 0.3), ("affine", "cuda", 1, 0.1)]
    table = pd.DataFrame(rows, columns=["method", "device", "number", "seconds_median"])
    drawn = references.device_times(table, LOOKS)
    assert [axes.get_xlabel() for axes in drawn.axes] == [
        "Threads of a processor",
        "Devices (cuda)",
    ]
    lines = {line.get_label(): line.get_ydata().tolist() for line in drawn.axes[0].lines}
    assert lines == {"lddmm": [60.0], "quicksilver": [6.0, 3.5]}
    (legend,) = drawn.legends
    assert {text.get_text() for text in legend.get_texts()} == set(NAMES)


@pytest.mark.parametrize(
    ("draw", "columns"),
    [
        (references.overlap_boxes, ["method", "target_overlap"]),
        (references.error_boxes, ["method", "reference", "kind"]),
        (references.volume_histograms, ["method", "reference", "kind", "quantity"]),
        (references.device_times, ["method", "device", "number", "seconds_median"]),
    ],
)
def test_nothing_is_drawn_of_nothing(draw, columns):
    assert draw(pd.DataFrame(columns=columns), LOOKS) is None
