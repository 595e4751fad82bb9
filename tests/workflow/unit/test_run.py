"""The words that `pmrpipe run` hands to Snakemake."""

from __future__ import annotations

from pathlib import Path

import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.cli import main
from pmrpipe.workflow.run import snakemake_command, workflow_folder


def words(*given: str) -> list[str]:
    return snakemake_command(given)[5:]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_snakefile_comes_with_the_package() -> None:
    snakefile = Path(snakemake_command([])[4])
    assert snakefile == workflow_folder() / "Snakefile"
    assert snakefile.is_file()


def test_words_stay_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("root: a", encoding="utf-8")
    line = ["score", "--cores", "2", "-n", "--config", "root=/a b", "--configfile", "mine.yaml"]
    assert words(*line) == line


def test_a_target_after_configfile_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("root: a", encoding="utf-8")
    with pytest.raises(InputError, match=r"score.*follows --configfile.*pmrpipe run score"):
        words("--cores", "2", "--configfile", "mine.yaml", "score")
    assert words("--configfile", "mine.yaml", "--cores", "2", "score")[-1] == "score"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"root: a\n\tseed: 3\n", "line 2"),
        (b"methods: [affine\nseed: 3\n", "line 2"),
        (b"root: a\nseed: 3\nroot: b\n", "`root` again in line 3"),
        ("cohort: wíld\n".encode("latin-1"), "UTF-8"),
        (b"seed: !!python/object/apply:os.getpid []\n", "line 1"),
    ],
)
def test_a_configuration_that_is_no_yaml_is_named_with_its_line(
    tmp_path: Path, content: bytes, line: str
) -> None:
    (tmp_path / "mine.yaml").write_bytes(content)
    with pytest.raises(InputError, match=rf"mine\.yaml.*{line}"):
        words("--configfile", "mine.yaml")


@pytest.mark.parametrize("name", ["none.yaml", "none.json", "config/none.yaml", "/none.yaml"])
def test_a_configuration_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(InputError, match=rf"{name}: no such file; correct the path"):
        words("score", "--configfile", name)


def test_a_folder_as_configuration_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").mkdir()
    with pytest.raises(InputError, match=r"mine\.yaml: is a folder"):
        words("--configfile", "mine.yaml")


@pytest.mark.parametrize("form", [["--configfile", "{}"], ["--configfile={}"]])
def test_a_configuration_of_the_package_serves_where_the_folder_has_none(
    form: list[str], tmp_path: Path
) -> None:
    line = [word.format("config/tiny.yaml") for word in form]
    shipped = workflow_folder() / "config" / "tiny.yaml"
    assert words(*line) == [word.format(shipped) for word in form]
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "tiny.yaml").write_text("root: a", encoding="utf-8")
    assert words(*line) == line


def test_other_verbs_refuse_words_that_they_do_not_know(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["methods", "--cores"])
    assert ended.value.code == 2
    assert "unrecognized arguments: --cores" in capsys.readouterr().err
