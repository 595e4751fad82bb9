"""What a failed run says of its jobs, from their logs."""

from __future__ import annotations

from pathlib import Path

import pytest

from pmrpipe import cli
from pmrpipe.workflow.failures import explanations

TRACEBACK = "Traceback (most recent call last):\n  File \"x.py\", line 3, in f\nKeyError: 'T1w'\n"


def written(logs: Path, name: str, text: str) -> Path:
    path = logs / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_traceback_without_an_error_line_is_told_with_rule_scan_and_log(tmp_path: Path) -> None:
    log = written(tmp_path, "brain/sub-02/sub-02.log", "note: begins\n" + TRACEBACK)
    first, whole, *remedy = explanations(tmp_path, 0)
    assert first == "pmrpipe: brain sub-02: unexpected KeyError: 'T1w'"
    assert whole == f"    whole log: {log}"
    assert remedy[-1].strip() == 'exclude: {sub-02: "why it is left out"}'


def test_an_unexpected_error_of_a_command_names_rule_and_batch(tmp_path: Path) -> None:
    line = "pmrpipe register-pairs: error: unexpected TypeError: x; please report it with the log\n"
    written(tmp_path, "register/affine/0001of0002.log", TRACEBACK + line)
    first, _ = explanations(tmp_path, 0)
    assert first.startswith("pmrpipe: register affine/0001of0002: unexpected TypeError: x; please")


@pytest.mark.parametrize(
    "text", ["", "note: done\n", "Exception ignored in: <function A.__del__>\n" + TRACEBACK]
)
def test_a_log_of_a_job_that_went_well_is_not_told(tmp_path: Path, text: str) -> None:
    written(tmp_path, "qc/table.log", text)
    assert not list(explanations(tmp_path, 0))


def test_logs_of_an_earlier_run_are_not_told(tmp_path: Path) -> None:
    log = written(tmp_path, "qc/table.log", TRACEBACK)
    assert not list(explanations(tmp_path, log.stat().st_mtime + 1))


@pytest.mark.parametrize("error", [TypeError("two\n lines"), OSError("a library's own")])
def test_an_unexpected_exception_ends_in_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(options: object) -> None:
        raise error

    monkeypatch.setattr("pmrpipe.cli.methods.run_methods", broken)
    assert cli.main(["methods"]) == 1
    text = capfd.readouterr().err
    assert text.startswith("Traceback (most recent call last):")
    what = " ".join(f"{type(error).__name__}: {error}".split())
    expected = f"pmrpipe methods: error: unexpected {what}; please report it with the log"
    assert text.splitlines()[-1] == expected


SNAKEMAKE = """Error in rule register_pairs:
    message: None
    jobid: 3
    output: results/x/register/affine/batches/1of2.tsv
    log: {log} (check log file(s) for error details)
    shell:
        python -m pmrpipe register-pairs
        (command exited with non-zero exit code)
Shutting down, this might take some time.
    log: {other}
"""


def test_a_job_that_was_killed_is_told_with_its_last_line(tmp_path: Path) -> None:
    log = written(tmp_path, "logs/register/affine/1of2.log", "1/20 sub-01 to sub-02\n")
    other = written(tmp_path, "logs/register/affine/2of2.log", "1/20 sub-03 to sub-02\n")
    run = written(tmp_path, "snakemake.log", SNAKEMAKE.format(log=log, other=other))
    assert not list(explanations(tmp_path / "logs", 0))
    told, whole = explanations(tmp_path / "logs", 0, [run])
    assert told.startswith("pmrpipe: register affine/1of2: ended without an error, as a job that")
    assert told.endswith("its last line: 1/20 sub-01 to sub-02")
    assert whole == f"    whole log: {log}"


def test_a_killed_job_that_wrote_no_log_is_told_too(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "brain" / "sub-01" / "sub-01.log"
    run = written(tmp_path, "snakemake.log", SNAKEMAKE.format(log=log, other=log))
    told, _ = explanations(tmp_path / "logs", 0, [run])
    assert told.startswith("pmrpipe: brain sub-01: ended without an error")
