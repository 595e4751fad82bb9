"""No output of `pmrpipe register` takes the place of an input, or of a file of others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import pmrpipe
from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_json, write_json
from pmrpipe.cli import main
from pmrpipe.native.output import require_replaceable
from pmrpipe.native.result import CAPTIONS, NAMES, PAGE, SIDECARS, WARPED


def words(moving: Path, fixed: Path, out: Path, cache: Path, *more: object) -> list[str]:
    given = ["register", moving, fixed, "--output", out, "--method", "affine", "--mm", 4]
    given += ["--brain-extracted", "--threads", 1, "--cache", cache]
    return [str(word) for word in [*given, *more]]


@pytest.fixture
def out(tmp_path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.mark.parametrize("way", ["itself", "symbolic", "hard", "other spelling"])
def test_an_input_in_the_output_folder_is_kept(two_brains, cache, out, capsys, way, monkeypatch):
    monkeypatch.chdir(out)
    kept = out / WARPED
    elsewhere = out.parent / "mine.nii.gz"
    elsewhere.write_bytes(two_brains[0].read_bytes())
    if way == "symbolic":
        kept.symlink_to(elsewhere)
    elif way == "hard":
        os.link(elsewhere, kept)
    else:
        elsewhere.rename(kept)
    moving = {"itself": kept, "other spelling": Path("../out") / WARPED}.get(way, elsewhere)
    write_json(out / "register.json", {"GeneratedBy": {"Name": "pmrpipe"}})
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert main(words(moving, two_brains[1], out, cache)) == 2
    assert f"{WARPED}: is an input" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_others_is_kept(out, name):
    (out / name).write_text('{"mine": 1}')
    with pytest.raises(InputError, match=r"was not written by pmrpipe register.*--overwrite"):
        require_replaceable(out, [])


def test_other_names_are_of_no_concern(out):
    (out / "notes.txt").write_text("mine")
    require_replaceable(out, [out / "notes.txt"])


def test_its_own_result_is_replaced_and_others_when_it_is_told(two_brains, cache, out, capsys):
    given = words(*two_brains, out, cache)
    (out / PAGE).write_text("mine")
    assert main(given) == 2
    assert (out / PAGE).read_text() == "mine"
    assert main([*given, "--overwrite"]) == 0
    assert main(given) == 0
    facts = read_json(out / "register.json")
    assert facts["GeneratedBy"]["Name"] == "pmrpipe"
    assert set(os.listdir(out)) <= {*NAMES}


def test_a_result_of_an_older_version_is_known(out):
    old = {"moving": "a", "fixed": "b", "method": "syn", "ncc_affine": 0.5, "folding_percent": 0}
    write_json(out / "register.json", old)
    (out / PAGE).write_text("old")
    require_replaceable(out, [])


def test_captions_and_sidecars_are_all_names():
    assert {*CAPTIONS, *SIDECARS, PAGE} == set(NAMES)


def test_python_is_refused_too(two_brains, cache, out):
    (out / WARPED).write_text("mine")
    with pytest.raises(InputError, match="was not written by pmrpipe"):
        pmrpipe.register(*two_brains, out, method="affine", mm=4.0, cache=cache)
