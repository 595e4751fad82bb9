"""Parts by name: built at any depth, and refused in one line."""

from dataclasses import dataclass
from typing import Any

import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.methods.components import assembled, construct, named, resolve, takes


@dataclass
class Part:
    """Holds what it is given."""

    value: Any = None
    others: Any = ()


PART = f"{__name__}:Part"


def test_parts_are_built_at_any_depth_and_in_lists():
    built = construct(
        PART,
        {
            "value": {"component": PART, "value": {"deep": {"component": PART, "value": 1}}},
            "others": [2, {"component": PART, "value": 3}, [{"component": PART}]],
        },
    )
    assert built == Part(Part({"deep": Part(1)}), [2, Part(3), [Part()]])


def test_what_names_no_component_stays_as_it_is():
    plain = {"a": [1, 2.5, None], "b": {"c": "text"}}
    assert assembled(plain) == plain
    assert list(named(plain)) == []


def test_every_component_is_named_once_for_each_use():
    value = {"component": "a:A", "x": [{"component": "b:B", "y": {"component": "c:C"}}]}
    assert list(named({"first": value, "second": {"component": "d:D"}})) == [
        "a:A",
        "b:B",
        "c:C",
        "d:D",
    ]


@pytest.mark.parametrize(
    ("component", "message"),
    [
        ("no_such_module:Class", "there is no module `no_such_module`"),
        ("pmrpipe.no_such.module:Class", "there is no module `pmrpipe.no_such.module`"),
        (f"{__name__}:Absent", "there is no `Absent` in the module"),
        ("pmrpipe", "there is no `` in the module"),
    ],
)
def test_a_part_that_there_is_not_is_refused(component, message):
    with pytest.raises(InputError, match=message):
        resolve(component)


def test_a_module_that_lacks_another_says_which(tmp_path, monkeypatch):
    (tmp_path / "needs_another.py").write_text("import absent_elsewhere\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="absent_elsewhere"):
        resolve("needs_another:Class")


def test_arguments_that_a_part_does_not_take_are_refused_with_those_that_it_does():
    with pytest.raises(InputError, match=r"unexpected.*'size'.*its arguments: value, others"):
        construct(PART, {"value": {"component": PART, "size": 1}})


def test_whether_a_component_takes_an_argument():
    assert takes(Part, "value")
    assert not takes(Part, "seed")
