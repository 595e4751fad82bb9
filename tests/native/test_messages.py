"""Errors of preprocessing name options that the command has."""

from __future__ import annotations

from pathlib import Path

import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.native.messages import about
from pmrpipe.native.request import Scan


@pytest.mark.parametrize(
    ("flags", "subject", "remedy"),
    [
        ("--{which}-", "a.nii.gz (moving)", "give its brain mask by --moving-mask"),
        ("--", "a.nii.gz", "give its brain mask by --mask"),
        (None, "a.nii.gz", "extract the brains of all scans first"),
    ],
    ids=["register", "parcellate", "change and modalities"],
)
def test_a_remedy_of_a_study_becomes_one_of_the_command(
    flags: str | None, subject: str, remedy: str
) -> None:
    path = Path("a.nii.gz")
    with pytest.raises(InputError) as raised, about("moving", Scan(path), flags):
        raise InputError(path, "holds no brain", "exclude it")
    assert (raised.value.subject, raised.value.remedy) == (subject, remedy)


@pytest.mark.parametrize(
    "problem", ["has no orientation", "is no extracted brain", "is not aligned to the template"]
)
def test_a_command_without_options_of_one_scan_names_none(problem: str) -> None:
    path = Path("a.nii.gz")
    with pytest.raises(InputError) as raised, about("moving", Scan(path), None):
        raise InputError(path, problem, "exclude it")
    assert "mask" not in raised.value.remedy
    assert "orientation RAS" not in raised.value.remedy
