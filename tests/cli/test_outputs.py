"""No verb writes over what it reads: every verb, by what its arguments are called."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from pmrpipe import cli
from pmrpipe.cli import VERBS, main
from pmrpipe.cli.arguments import outputs, said_path

# Folders that a verb fills by names of its own.
FOLDERS = {"results", "root", "dataset", "labels_root"}
# How the help of an argument says that something is written there.
WRITTEN = re.compile("write|written|receives|folder for|where")
# These check with a remedy of their own (tests/native, tests/stages); folders are not checked here.
ELSEWHERE = {"apply", "label-table"}


def paths_of(verb: str) -> list[argparse.Action]:
    parser, _ = cli._parser([verb])
    (verbs,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return verbs.choices[verb]._actions


def is_output(action: argparse.Action) -> bool:
    return bool(outputs(argparse.Namespace(**{action.dest: Path("x")})))


def is_read(action: argparse.Action) -> bool:
    return action.type is said_path and action.dest not in FOLDERS and not is_output(action)


@pytest.mark.parametrize("verb", VERBS)
def test_a_path_that_is_written_is_named_as_an_output(verb):
    for action in paths_of(verb):
        if is_read(action):
            assert not WRITTEN.search((action.help or "").split(";")[0]), action.dest


WRITERS = [
    (verb, action.dest)
    for verb in VERBS
    if verb not in ELSEWHERE and any(is_read(a) for a in paths_of(verb))
    for action in paths_of(verb)
    if action.type is said_path and is_output(action) and "folder" not in str(action.help)
]


def words_of(verb: str, name: str, place: Path, scan: Path) -> list[str]:
    """A call of a verb that reads `scan`, and writes `place` as its argument `name`."""
    folder, words = scan.parent, [verb]
    for number, action in enumerate(paths_of(verb)):
        if action.dest == name:
            value = str(place)
        elif is_output(action):
            value = str(folder / f"other-{number}")
        elif action.type is said_path:
            value = str(folder if action.dest in FOLDERS else scan)
        else:
            value = str(next(iter(action.choices or ["scan.nii.gz"])))
        if action.option_strings and (action.required or action.dest in (name, "cohort")):
            words += [action.option_strings[-1], value]
        elif not action.option_strings:
            words.append(value)
    return words


@pytest.mark.parametrize(("verb", "name"), WRITERS)
@pytest.mark.parametrize("way", ["itself", "hard", "symbolic"])
def test_an_output_never_takes_the_place_of_an_input(tmp_path, capsys, verb, name, way):
    scan = tmp_path / "scan.nii.gz"
    scan.write_bytes(b"precious")
    place = {"itself": scan, "hard": tmp_path / "h", "symbolic": tmp_path / "s"}[way]
    if way == "hard":
        place.hardlink_to(scan)
    elif way == "symbolic":
        place.symlink_to(scan)
    assert main(words_of(verb, name, place, scan)) == 2
    assert "is an input" in capsys.readouterr().err
    assert scan.read_bytes() == b"precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({scan.name, place.name})


@pytest.mark.parametrize("verb", ["register", "change", "modalities", "parcellate", "shoot"])
def test_a_path_of_a_variable_that_is_not_set_is_not_this_folder(
    verb, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main([verb, "a.nii.gz", "b.nii.gz", "--output", ""])
    assert ended.value.code == 2
    assert "--output: is an empty path" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_cache_that_is_a_file_is_told_before_any_work(tmp_path, capsys):
    (tmp_path / "kept").write_text("of others")
    words = ["a.nii.gz", "b.nii.gz", "--output", str(tmp_path / "out")]
    assert main(["register", *words, "--cache", str(tmp_path / "kept")]) == 2
    assert "kept: is no folder, and results go to one; name a folder" in capsys.readouterr().err


def test_two_outputs_are_two_files(tmp_path, capsys):
    scan = tmp_path / "scan.nii.gz"
    scan.write_bytes(b"precious")
    assert main(["brain", str(scan), str(tmp_path / "a"), str(tmp_path / "a")]) == 2
    assert "is named for two outputs" in capsys.readouterr().err


@pytest.mark.parametrize(("verb", "name"), WRITERS)
def test_a_file_that_is_there_is_replaced_only_if_told(tmp_path, capsys, verb, name):
    scan, place = tmp_path / "scan.nii.gz", tmp_path / "place"
    for path in (scan, place):
        path.write_bytes(path.name.encode())
    assert main(words_of(verb, name, place, scan)) == 2
    assert f"{place}: is there already" in capsys.readouterr().err
    assert place.read_bytes() == b"place"


def test_told_to_a_verb_replaces_what_is_there_and_in_results_always(tmp_path, capsys):
    place = tmp_path / "results" / "space.nii.gz"
    place.parent.mkdir()
    place.write_bytes(b"old")
    words = ["space", str(place), str(tmp_path / "results" / "w.nii.gz"), "--mm", "8"]
    assert main(words) == 2
    capsys.readouterr()
    assert main([*words, "--overwrite"]) == 0
    assert main(words) == 2
    (tmp_path / "dataset_description.json").write_text('{"GeneratedBy": [{"Name": "pmrpipe"}]}')
    assert main(words) == 0


@pytest.mark.parametrize(
    "words",
    [
        ["register", "a.nii.gz", "b.nii.gz"],
        ["change", "a.nii.gz", "b.nii.gz"],
        ["modalities", "a.nii.gz", "b_T2w.nii.gz"],
        ["parcellate", "a.nii.gz", "--atlases", "atlases"],
        ["shoot", "a"],
    ],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("place", ["notes.txt", "notes.txt/below"])
def test_results_do_not_go_below_a_file(words, place, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    assert main([*words, "--output", place, "--overwrite"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "notes.txt: is no folder, and results go to one; name a folder" in line
    assert (tmp_path / "notes.txt").read_text() == "mine"
