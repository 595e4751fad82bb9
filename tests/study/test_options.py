"""An option is said once: its flag and its words on a shell line follow from its field."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

import pytest
from pydantic import BaseModel

from pmrpipe.base.errors import InputError
from pmrpipe.base.seed import SEED
from pmrpipe.cli.arguments import add, read
from pmrpipe.study.config import Study
from pmrpipe.study.options.change import Change
from pmrpipe.study.options.common import DEFAULT_SPACE, default
from pmrpipe.study.options.flags import flags, words
from pmrpipe.study.options.preprocessing import (
    CheckedLabelling,
    Extraction,
    Gridded,
    Normalisation,
    Packing,
    Preprocessing,
    Quality,
)
from pmrpipe.study.options.registration import LevelFields, Registration
from pmrpipe.study.options.scoring import Scoring
from pmrpipe.study.options.simulation import Simulation
from pmrpipe.study.options.training import Training
from pmrpipe.study.options.two_scans import TwoScans

EXAMPLES: list[BaseModel] = [
    Gridded(mm=2),
    Extraction(method="mask", mask=Path("a b.nii"), n4=True, orientation="LAS", threads=3),
    Normalisation(seed=0),
    CheckedLabelling(interpolation="genericLabel", table="malf"),
    Preprocessing(state="brain", labels=Path("l.nii.gz"), mm=4, threads=2),
    Quality(orientation="PIR"),
    Packing(keys=("sub-01", "sub-02"), labelled=("sub-01",)),
    Simulation(subjects=4, mm=4),
    Training(method="pmr", train=("sub-01", "sub-02"), max_steps=20, device="cpu"),
    LevelFields(method="pmr", weights=Path("w")),
    Registration(
        method="pmr",
        pairs=("sub-01_to_sub-02",),
        labels={"sub-01": Path("a=b.nii.gz"), "sub-02": Path("c d.nii")},
        orientations={"sub-01": "LAS"},
        uncertainty=8,
        refine=5,
        refine_mm=2,
        refine_elastic=0.6,
        finetune=50,
        finetune_rate=1e-4,
    ),
    Scoring(method="syn", discard_fields=True),
    TwoScans(method="syn", refine=0, n4=True),
]


def given(model: type[BaseModel], *line: str) -> BaseModel:
    parser = ArgumentParser()
    add(parser, model)
    return read(parser.parse_args(line), model)


@pytest.mark.parametrize("options", EXAMPLES, ids=lambda options: type(options).__name__)
def test_what_a_shell_line_says_is_read_as_it_was(options: BaseModel) -> None:
    assert given(type(options), *words(options)) == options


@pytest.mark.parametrize("options", EXAMPLES, ids=lambda options: type(options).__name__)
def test_every_option_is_described(options: BaseModel) -> None:
    assert all(flag.description for flag in flags(type(options)))


@pytest.mark.parametrize(
    ("model", "line", "told"),
    [
        (Normalisation, ["--threads", "-2"], "--threads: .*got -2"),
        (Normalisation, ["--threads", "two"], "--threads: .*got two"),
        (Normalisation, ["--seed", "-1"], "--seed"),
        (Normalisation, ["--seed", str(2**31)], "--seed"),
        (Gridded, ["--mm", "0"], "--mm: .*greater than 0, got 0"),
        (Gridded, ["--mm", "nan"], "--mm"),
        (Change, ["--finest-mm", "16"], "--finest-mm: .*equal to 8, got 16"),
        (TwoScans, ["--refine", "-5"], "--refine"),
        (TwoScans, ["--finetune", "-5"], "--finetune"),
        (TwoScans, ["--finetune-rate", "0"], "--finetune-rate"),
        (Extraction, ["--orientation", "RRS"], "--orientation"),
        (Scoring, ["--method", "syn", "--mm", "100"], "--mm"),
        (
            Registration,
            ["--method", "pmr", "--pairs", "a_to_b", "--labels", "sub-01"],
            "--labels: sub-01 is not KEY=VALUE",
        ),
    ],
)
def test_a_value_outside_its_range_ends_in_one_line(model, line, told) -> None:
    with pytest.raises(InputError, match=told) as caught:
        given(model, *line)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_words_say_defaults_and_leave_out_what_is_not_there() -> None:
    assert words(Normalisation()) == ["--seed", str(SEED), "--threads", "1"]
    grid = ["--mm", "1.0", "--space", DEFAULT_SPACE]
    assert words(Scoring(method="syn")) == [
        *(*grid, "--method", "syn", "--interpolation", "nearest")
    ]


@pytest.mark.parametrize(
    ("key", "model", "field"),
    [
        ("grid_mm", Gridded, "mm"),
        ("labels_interpolation", CheckedLabelling, "interpolation"),
        ("input_state", Extraction, "state"),
        ("network_mm", Training, "network_mm"),
        ("devices", Training, "devices"),
        ("refine_mm", Registration, "refine_mm"),
        ("refine_elastic", Registration, "refine_elastic"),
        ("finetune_rate", Registration, "finetune_rate"),
        ("uncertainty", Registration, "uncertainty"),
    ],
)
def test_a_key_of_the_study_is_its_job_s_option(key, model, field) -> None:
    mine, its = Study.model_fields[key], model.model_fields[field]
    assert mine.description == its.description
    assert mine.metadata == its.metadata
    assert default(Study, key) == default(model, field)
