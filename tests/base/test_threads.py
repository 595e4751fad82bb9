"""Several threads for numpy's work, inside `limited_threads` alone."""

import threading

import pytest

from pmrpipe.base.threads import each, limited_threads


def test_results_come_in_the_order_of_the_items_whatever_ends_first() -> None:
    first_may_end = threading.Event()

    def work(n: int) -> tuple[int, str]:
        if n == 0:
            assert first_may_end.wait(20)
        else:
            first_may_end.set()
        return n * n, threading.current_thread().name

    with limited_threads(2):
        squares, names = zip(*each(work, range(4)), strict=True)
    assert squares == (0, 1, 4, 9)
    assert threading.current_thread().name not in names


def test_outside_everything_is_done_by_the_caller() -> None:
    names = each(lambda n: threading.current_thread().name, range(3))
    assert set(names) == {threading.current_thread().name}
    with limited_threads(1):
        assert set(each(lambda n: threading.get_ident(), range(3))) == {threading.get_ident()}


def test_the_exception_of_an_item_is_raised() -> None:
    with limited_threads(2), pytest.raises(ZeroDivisionError):
        each(lambda n: 1 / n, [1, 0, 2])
