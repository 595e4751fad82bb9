"""The digest follows code, not words: that of pmrpipe, and that beside a method of one's own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from pmrpipe.base import digest as digests
from pmrpipe.base import parsed, sources
from pmrpipe.base.errors import InputError


def write(folder: Path, texts: dict[str, str]) -> None:
    """Modules by their path without suffix."""
    for name, text in texts.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    # Within one process sources are read once.
    for read in (parsed.parsed, parsed._kept, sources._file, sources._imports):
        read.cache_clear()


def test_closure_follows_imports_inside_functions() -> None:
    assert "pmrpipe.images.transforms" in digests.closure("pmrpipe.stages.register.pairs")
    assert "pmrpipe.methods.pmr" not in digests.closure("pmrpipe.stages.train.fit")
    assert "pmrpipe.stages.preprocess.affine" not in digests.closure(
        "pmrpipe.stages.preprocess.whiten"
    )


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        (
            "def f():\n    return 1\n",
            'def f():\n    """Words."""\n    # more\n    return 1\n',
            True,
        ),
        ("x = Field(1, description='one')\n", "x = Field(1, description='first')\n", True),
        ("x = Field(1, description='one')\n", "x = Field(2, description='one')\n", False),
        ("def f():\n    return 1\n", "def f():\n    return 2\n", False),
        ('x = "a"\n', 'x = "b"\n', False),
    ],
)
def test_words_do_not_count(tmp_path: Path, before: str, after: str, same: bool) -> None:
    write(tmp_path, {"mine": before})
    first = digests.digest("mine", folders=[tmp_path])
    write(tmp_path, {"mine": after})
    assert (digests.digest("mine", folders=[tmp_path]) == first) is same


OWN = {
    "mine": "import helper\nfrom lab import parts\nfrom typing import TYPE_CHECKING\n"
    "if TYPE_CHECKING:\n    import only_types\ndef f():\n    import lazy\n",
    "helper": "",
    "lab/__init__": "",
    "lab/parts": "from .inner import deep\n",
    "lab/inner/__init__": "",
    "lab/inner/deep": "from .. import nothing\n",
    "lazy": "from pmrpipe.spatial import warp\n",
    "only_types": "",
    "bystander": "",
}


@pytest.mark.parametrize("name", OWN)
def test_whatever_a_module_of_ones_own_imports_there_counts(tmp_path: Path, name: str) -> None:
    write(tmp_path, OWN)
    before = digests.digest("mine", folders=[tmp_path])
    write(tmp_path, {name: OWN[name] + "x = 1\n"})
    after = digests.digest("mine", folders=[tmp_path])
    assert (before == after) is (name in ("only_types", "bystander"))


def test_what_pmrpipe_has_for_a_module_of_ones_own_counts(tmp_path: Path) -> None:
    write(tmp_path, OWN)
    names = sources.Sources.of(["mine"], [tmp_path]).closure(["mine"])
    assert "pmrpipe.spatial.warp" in names


def test_where_the_folder_lies_does_not_count(tmp_path: Path) -> None:
    write(tmp_path / "one", OWN)
    write(tmp_path / "two", OWN)
    one, two = (digests.digest("mine", folders=[tmp_path / name]) for name in ("one", "two"))
    assert one == two


def test_an_installed_package_counts_with_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"mine": "import yaml\nimport torch\nimport json\n"})

    def kept() -> list[str]:
        return sources.Sources((tmp_path,)).installed(["mine"])

    import yaml

    assert kept() == [f"yaml {yaml.__version__}"]
    before = digests.digest("mine", folders=[tmp_path]), digests.digest("yaml")
    monkeypatch.setattr(sources, "version", lambda name: "99")
    after = digests.digest("mine", folders=[tmp_path]), digests.digest("yaml")
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_a_module_that_is_developed_elsewhere_counts_with_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"pmrlab/__init__": "", "pmrlab/net": "from pmrlab import more\n",
                     "pmrlab/more": ""})  # fmt: skip
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    before = digests.digest("pmrlab.net")
    write(tmp_path, {"pmrlab/more": "x = 1\n"})
    assert digests.digest("pmrlab.net") != before


def test_no_module_and_no_python_end_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent: no such module beside .*put absent.py beside"):
        digests.digest("absent", folders=[tmp_path])
    write(tmp_path, {"broken": "def f(:\n"})
    with pytest.raises(InputError, match=r"broken.py: line 1: invalid syntax"):
        digests.digest("broken", folders=[tmp_path])


@pytest.mark.parametrize("kept", ["whole", "broken", "other things", "no folder"])
def test_what_was_parsed_before_changes_no_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    monkeypatch.setattr(parsed, "_USED", {})
    monkeypatch.setenv("PMRPIPE_CACHE", str(tmp_path / "cache"))
    write(tmp_path, OWN)
    first = digests.digest("mine", folders=[tmp_path])
    file = tmp_path / "cache" / "sources.json"
    assert len(json.loads(file.read_text())) >= len(OWN)
    if kept == "broken":
        file.write_text("{")
    elif kept == "other things":
        file.write_text(json.dumps(dict.fromkeys(json.loads(file.read_text()), 5)))
    elif kept == "no folder":
        monkeypatch.setenv("PMRPIPE_CACHE", str(file / "cache"))
    write(tmp_path, OWN)
    assert digests.digest("mine", folders=[tmp_path]) == first


def test_what_was_parsed_before_is_not_parsed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parsed, "_USED", {})
    monkeypatch.setenv("PMRPIPE_CACHE", str(tmp_path / "cache"))
    write(tmp_path, OWN)
    first = digests.digest("mine", folders=[tmp_path])
    monkeypatch.setattr(parsed, "_said", lambda *of: pytest.fail(f"parsed {of[0]}"))
    write(tmp_path, {})
    assert digests.digest("mine", folders=[tmp_path]) == first
    write(tmp_path, {"helper": "x = 1"})
    with pytest.raises(pytest.fail.Exception, match="helper"):
        digests.digest("mine", folders=[tmp_path])
