"""`pmrpipe register` by a method that shoots: what it keeps and draws; the same shot again."""

from __future__ import annotations

import numpy as np
import pytest

from pmrpipe.base.files import read_tsv, write_json
from pmrpipe.cli import main
from pmrpipe.images.transforms import read_field
from pmrpipe.methods.spec import spec

MOMENTUM, ENERGIES = "desc-initial_momentum.safetensors", "desc-energy.tsv"


@pytest.fixture(scope="module")
def registered(two_brains, cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("geodesic")
    quick = spec("lddmm").model_dump(exclude_none=True) | {"name": "quick"}
    quick["parameters"] |= {"levels_mm": [8], "iterations": [3], "velocity_mm": 8}
    write_json(folder / "quick.yaml", quick)
    words = ["register", *two_brains, "--output", folder / "out", "--mm", 4, "--threads", 1]
    words += ["--method", folder / "quick.yaml", "--brain-extracted", "--cache", cache]
    assert main([str(word) for word in words]) == 0
    return folder / "out"


def test_the_momentum_and_the_energies_lie_beside_the_fields(registered):
    rows = read_tsv(registered / ENERGIES)
    assert rows["total"].is_monotonic_decreasing
    assert (registered / MOMENTUM).stat().st_size > 1000


def test_the_page_draws_the_energies_and_lists_the_files(registered):
    page = (registered / "qc.html").read_text(encoding="utf-8")
    assert "How the energy fell" in page
    assert MOMENTUM in page
    assert ENERGIES in page


def test_shot_to_time_one_the_fields_are_the_registration_s_own(registered, tmp_path):
    assert main(["shoot", str(registered), "--output", str(tmp_path)]) == 0
    for own, shot in (
        ("from-moving_to-fixed", "from-moving_to-shot"),
        ("from-fixed_to-moving", "from-shot_to-moving"),
    ):
        fields = [
            read_field(folder / f"{name}_mode-image_xfm.nii.gz")[0]
            for folder, name in ((registered, own), (tmp_path, shot))
        ]
        assert np.abs(fields[0] - fields[1]).max() < 0.01
        assert np.abs(fields[0]).max() > 1
