"""`pmrpipe.register` as a Python function: its caller's process, its options, its warnings."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import pmrpipe
from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_json, write_json
from pmrpipe.cli import main
from pmrpipe.methods.classical import AffineOnly
from pmrpipe.study.options.two_scans import TwoScans

QUICK = {"method": "affine", "mm": 4.0, "brain_extracted": True}


@pytest.mark.parametrize("itk", [None, "5"])
def test_the_caller_s_environment_and_threads_are_left_as_they_were(
    two_brains, cache, monkeypatch, itk
):
    monkeypatch.delenv("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", raising=False)
    if itk:
        monkeypatch.setenv("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", itk)
    environment, threads = dict(os.environ), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        pmrpipe.register(*two_brains, cache=cache, threads=1, **QUICK)
        assert (dict(os.environ), torch.get_num_threads()) == (environment, 2)
        with pytest.raises(InputError):
            pmrpipe.register("missing.nii", two_brains[1], threads=1, **QUICK)
        assert (dict(os.environ), torch.get_num_threads()) == (environment, 2)
    finally:
        torch.set_num_threads(threads)


def test_flags_and_keywords_are_those_of_one_model(capsys):
    keywords = inspect.signature(pmrpipe.register).parameters
    for name, field in TwoScans.model_fields.items():
        assert keywords[name].default == field.default
        assert f"{name} : {field.description}" in pmrpipe.register.__doc__
    assert set(keywords) == {"moving", "fixed", "output", "say", *TwoScans.model_fields}
    with pytest.raises(SystemExit):
        main(["register", "--help"])
    told = capsys.readouterr().out
    for name in TwoScans.model_fields:
        assert "--" + name.replace("_", "-") in told


@pytest.mark.parametrize(
    ("option", "value"),
    [("threads", -2), ("mm", 0), ("refine", -5), ("refine_mm", 0), ("uncertainty", -1), ("mmm", 1)],
)
def test_a_value_out_of_range_is_refused_before_any_work(option, value):
    with pytest.raises(InputError, match=rf"^{option}: "):
        pmrpipe.register("missing.nii", "missing.nii", **{option: value})


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_told_in_one_line(two_brains, tmp_path, capsys):
    given = ["register", *map(str, two_brains), "--output", str(tmp_path / "out")]
    assert main([*given, "--device", "cuda"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("pmrpipe register: error: --device: cuda is asked for")
    assert message.count("\n") == 1


def test_a_model_that_names_no_method_ends_in_one_line(two_brains, tmp_path, capsys):
    write_json(tmp_path / "model.json", {"network_mm": 2.0})
    given = ["register", *map(str, two_brains), "--output", str(tmp_path / "out")]
    assert main([*given, "--weights", str(tmp_path)]) == 2
    assert "model.json: does not name its `method`" in capsys.readouterr().err
    write_json(tmp_path / "model.json", [1])
    assert main([*given, "--weights", str(tmp_path)]) == 2
    assert "model.json: is no model.json" in capsys.readouterr().err


class _Away(AffineOnly):
    """Puts the brain 20 mm away from where the affine has it."""

    def register(self, moving, fixed, grid):
        still = super().register(moving, fixed, grid)
        still.displacement[:, 0] += 20 / grid.spacing[0]
        return still


def test_a_registration_worse_than_its_affine_is_told_everywhere(
    two_brains, cache, tmp_path, monkeypatch
):
    from pmrpipe.native import method

    real = method.ready_method

    def away(request, say):
        ready = real(request, say)
        return SimpleNamespace(**{**vars(ready), "method": _Away()})

    monkeypatch.setattr("pmrpipe.native.registration.ready_method", away)
    said: list[str] = []
    pmrpipe.register(*two_brains, tmp_path, cache=cache, threads=1, say=said.append, **QUICK)
    (sentence,) = [line for line in said if "worse than its affine" in line]
    warnings = read_json(tmp_path / "register.json")["warnings"]
    assert sentence.removeprefix("warning: ") in warnings["registration"]
    page = (tmp_path / "qc.html").read_text(encoding="utf-8")
    assert "Look at this" in page
    assert "worse than its affine" in page


def test_a_good_one_is_silent_and_says_its_strain(two_brains, cache, tmp_path):
    said: list[str] = []
    pmrpipe.register(*two_brains, tmp_path, cache=cache, threads=1, say=said.append, **QUICK)
    facts = read_json(tmp_path / "register.json")
    assert facts["warnings"] == {"moving": [], "fixed": [], "registration": []}
    assert facts["strain"] == 0
    assert not [line for line in said if "warning" in line]
    page = (tmp_path / "qc.html").read_text(encoding="utf-8")
    assert "Look at this" not in page
    assert "Strain" in page


_FROM_PYTHON = """
import sys
import pmrpipe
result = pmrpipe.register(*sys.argv[1:3], cache=sys.argv[3], mm=1.0, brain_extracted=True,
                          threads=1, refine=8)
print(result.facts["seconds"])
"""


@pytest.mark.slow
def test_python_is_as_fast_as_the_verb(two_brains, tmp_path):
    """In turn, each in a process of its own, the registration alone; 2.5 times slower before."""
    source = str(Path(__file__).resolve().parents[2] / "src")
    environment = {**os.environ, "PYTHONPATH": source}
    cache, out = tmp_path / "cache", tmp_path / "out"
    verb = ["-m", "pmrpipe", "register", *two_brains, "--output", out, "--cache", cache]
    verb += ["--brain-extracted", "--threads", 1, "--refine", 8]
    seconds: dict[str, list[float]] = {"verb": [], "python": []}
    for _ in range(3):
        run = {"env": environment, "check": True, "capture_output": True, "text": True}
        subprocess.run([sys.executable, *map(str, verb)], **run)
        seconds["verb"].append(read_json(out / "register.json")["seconds"])
        command = [sys.executable, "-c", _FROM_PYTHON, *map(str, two_brains), str(cache)]
        seconds["python"].append(float(subprocess.run(command, **run).stdout.split()[-1]))
    assert min(seconds["python"]) < 1.25 * min(seconds["verb"]), seconds
