"""Errors that end in one line: what it is about, what is wrong, what to do."""

from __future__ import annotations


class PmrpipeError(Exception):
    """Base of every expected failure; `exit_code` is that of the command.

    Parameters
    ----------
    subject : the file, key or subject that the message is about
    problem : what is wrong with it
    remedy : what the user can do about it
    """

    exit_code = 1

    def __init__(self, subject: object, problem: str, remedy: str = "") -> None:
        self.subject, self.problem, self.remedy = str(subject), problem, remedy
        parts = [f"{self.subject}: {problem}", remedy]
        super().__init__("; ".join(" ".join(part.split()) for part in parts if part))


class WorkError(PmrpipeError):
    """The work itself failed (exit code 1)."""


class InputError(PmrpipeError):
    """Arguments, configuration or input files are wrong (exit code 2)."""

    exit_code = 2


def retold(line: str, exit_code: int) -> PmrpipeError:
    """The error that another process told in its last line before it ended."""
    _, _, told = line.strip().rpartition(": error: ")
    subject, _, problem = told.partition(": ")
    kind = InputError if exit_code == InputError.exit_code else WorkError
    return kind(subject, problem or f"ended with exit code {exit_code}")
