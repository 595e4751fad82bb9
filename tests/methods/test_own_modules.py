"""Modules of one's own are found beside the YAML, wherever that lies."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from pmrpipe.base.errors import InputError
from pmrpipe.methods.load import build
from pmrpipe.methods.spec import spec

CODE = "from {helper} import WORD\nclass Own:\n    def __init__(self):\n        self.word = WORD\n"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Folders and modules of a test go with it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in [name for name in sys.modules if name.startswith("own_")]:
        del sys.modules[name]


def method(folder: Path, component: str, **texts: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text)
    path = folder / "own.yaml"
    content = {"name": "own", "title": "t", "citation": "c", "kind": "classical"}
    path.write_text(yaml.safe_dump(content | {"component": component}))
    return str(path)


def test_a_module_and_what_it_imports_lie_beside_the_yaml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = method(tmp_path / "lab", "own_one:Own", own_one=CODE.format(helper="own_words"),
                 own_words="WORD = 'beside'\n")  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert build(spec(str(Path(own).relative_to(tmp_path)))).word == "beside"


def test_a_module_comes_before_an_installed_one_of_the_same_name(tmp_path: Path) -> None:
    method(tmp_path / "elsewhere", "own_two:Own", own_two="class Own:\n    word = 'elsewhere'\n")
    sys.path.append(str(tmp_path / "elsewhere"))
    beside = method(tmp_path / "lab", "own_two:Own", own_two="class Own:\n    word = 'beside'\n")
    assert build(spec(beside)).word == "beside"


def test_two_modules_of_one_name_are_not_mistaken_for_each_other(tmp_path: Path) -> None:
    text = "class Own:\n    pass\n"
    one, two = (method(tmp_path / name, "own_three:Own", own_three=text) for name in "ab")
    build(spec(one))
    with pytest.raises(InputError, match=r"another module `own_three` is loaded from .*/a/own_"):
        build(spec(two))


def test_a_module_that_is_nowhere_ends_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no module `own_four`; write .* beside the YAML"):
        build(spec(method(tmp_path, "own_four:Own")))
    with pytest.raises(InputError, match="there is no `Absent` in the module `own_five`"):
        build(spec(method(tmp_path, "own_five:Absent", own_five="")))


def test_the_yaml_alone_changes_nothing_for_shipped_parts(tmp_path: Path) -> None:
    before = list(sys.path)
    build(spec(method(tmp_path, "pmrpipe.methods.classical:AffineOnly")))
    assert sys.path == before
