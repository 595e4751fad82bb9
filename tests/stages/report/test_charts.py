from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from pmrpipe.drawing.style import figure, looks
from pmrpipe.stages.report.charts import curves, method_legend
from pmrpipe.stages.report.tables import number


def test_methods_are_told_apart_without_colour():
    by_method = looks(["affine", "syn", "pmr", "pmr-cc", *"abcdefghij"], ["affine"])
    first = list(by_method.values())[1:8]
    for part in ("marker", "hatch", "dashes", "colour"):
        assert len({getattr(look, part) for look in first}) == 7
    assert len({(look.colour, look.marker) for look in by_method.values()}) == len(by_method)


def test_a_methods_look_does_not_depend_on_affine():
    assert looks(["affine", "syn"], ["affine"])["syn"] == looks(["syn"])["syn"]


@pytest.mark.parametrize("columns", [("step", "total", "val_dice"), ("epoch", "loss", "dice")])
def test_curves_are_found_by_their_names(columns):
    history = pd.DataFrame(np.arange(12).reshape(4, 3).astype(float), columns=columns)
    history.iloc[1, 2] = np.nan
    lines = curves(history)
    assert lines["axis"] == columns[0].capitalize()
    steps, values = lines["score"]
    assert steps.tolist() == [0, 6, 9]
    assert values.tolist() == [2, 8, 11]
    assert lines["loss"][1].mean() == pytest.approx(0)


def test_validation_without_labels_is_an_objective():
    history = pd.DataFrame({"step": [1, 2], "total": [3, 2], "validation_objective": [-5.0, -4]})
    assert set(curves(history)) == {"axis", "loss", "objective"}


def test_a_history_without_known_columns_has_no_curve():
    assert curves(pd.DataFrame({"what": [1]})) == {}
    assert curves(None) == {}


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(0.12345, 3, "0.123"), (0, 4, "0.0000"), (3e-6, 4, "<0.0001"), (np.nan, 2, "–")],
)
def test_numbers_as_shown(value, digits, text):
    assert number(value, digits) == text


@pytest.mark.parametrize("boxes", [False, True])
@pytest.mark.parametrize("name", ["syn", "quicksilver-published_refine-40"])
def test_a_legend_stays_within_its_figure(name, boxes):
    names = [f"{name}-{n}" for n in range(9)]
    study = SimpleNamespace(methods=[SimpleNamespace(name=one) for one in names])
    drawn = figure(5.4, 4.0)
    drawn.add_subplot()
    method_legend(drawn, study, looks(names), boxes=boxes, columns=6)
    drawn.canvas.draw()
    box = drawn.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= drawn.bbox.x1
    assert len(drawn.legends) == 1


def test_a_legend_that_fits_has_all_its_columns():
    names = ["affine", "syn", "pmr", "pmr-cc", "pmr-plus", "pmr-plus_refine-20"]
    study = SimpleNamespace(methods=[SimpleNamespace(name=one) for one in names])
    drawn = figure(11.0, 4.6)
    drawn.add_subplot()
    method_legend(drawn, study, looks(names), boxes=True, columns=6)
    drawn.canvas.draw()
    lines = {round(text.get_window_extent().y0 / 5) for text in drawn.legends[0].get_texts()}
    assert len(lines) == 1
