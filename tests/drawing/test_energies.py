"""The chart of a descent: every level, every term, the values that are in the table."""

from pmrpipe.drawing.energies import energy_chart
from pmrpipe.drawing.style import drawing


def rows(mm, totals):
    return [
        {"level_mm": mm, "iteration": n, "total": t, "regularity": t / 4, "matching": 3 * t / 4}
        for n, t in enumerate(totals)
    ]


def test_each_level_goes_on_where_the_last_one_ended():
    with drawing():
        (axes,) = energy_chart(rows(8, [9.0, 5.0, 4.0]) + rows(4, [6.0, 5.0])).axes
    lines = [line for line in axes.lines if len(line.get_xdata()) > 2 or line.get_xdata()[0] == 3]
    first, second = lines[:3], lines[3:]
    assert [list(line.get_xdata()) for line in first] == [[0, 1, 2]] * 3
    assert [list(line.get_xdata()) for line in second] == [[3, 4]] * 3
    assert list(first[0].get_ydata()) == [9.0, 5.0, 4.0]
    assert list(second[1].get_ydata()) == [4.5, 3.75]
    assert [text.get_text() for text in axes.texts] == ["8 mm", "4 mm"]
    assert len(axes.get_legend().get_texts()) == 3
