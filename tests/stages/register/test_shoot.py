"""Geodesics that were kept: shot again, to other times, scaled, averaged, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pmrpipe.base.files import read_json, read_tsv, write_json
from pmrpipe.cli import main
from pmrpipe.images.transforms import read_field
from pmrpipe.images.volume import Grid, write_volume
from pmrpipe.methods.geodesic import followed
from pmrpipe.methods.geodesic_file import ENDING, Momentum, read_momentum, write_momentum
from pmrpipe.spatial.geodesic import Shooting
from pmrpipe.spatial.integrate import compose
from pmrpipe.spatial.kernels import Fluid, Gaussians
from pmrpipe.study.pack import grid_meta
from pmrpipe.study.paths import Results
from pmrpipe.study.space import template_brain

GRID = Grid((16, 18, 14), np.diag([4.0, 4.0, 4.0, 1.0]))
FORWARD = "from-moving_to-shot_mode-image_xfm.nii.gz"
INVERSE = "from-shot_to-moving_mode-image_xfm.nii.gz"


def momentum(sign=1.0, kernel=None, grid=GRID, **about):
    values = np.zeros((3, *grid.shape), np.float32)
    values[0, 6:10, 6:10, 5:9], values[2, 6:9, 8:11, 6:9] = 0.08, -0.05
    about = {"moving": "sub-01", "fixed": "sub-02"} | about
    return Momentum(sign * values, kernel or Fluid(0.5, 0.0, 0.005), Shooting(6), grid, about)


def kept(folder: Path, **changes) -> Path:
    write_momentum(folder / f"pair_{ENDING}", momentum(**changes))
    return folder


def shoot(*words) -> int:
    return main(["shoot", *map(str, words)])


def field(folder: Path, name: str = FORWARD) -> np.ndarray:
    return read_field(folder / name)[0]


def test_a_momentum_reads_as_it_was_written(tmp_path):
    kernel = Gaussians((4.0, 8.0), (1.0, 3.0))
    written = momentum(kernel=kernel)
    write_momentum(tmp_path / ENDING, written)
    back = read_momentum(tmp_path)
    assert np.array_equal(back.values, written.values)
    assert (back.kernel, back.shooting, back.grid) == (kernel, Shooting(6), GRID)
    assert back.about == {"moving": "sub-01", "fixed": "sub-02"}


def test_at_time_one_it_is_the_registration_s_own_field(tmp_path):
    assert shoot(kept(tmp_path), "--output", tmp_path / "out") == 0
    own = momentum().at().millimetres()
    assert np.abs(field(tmp_path / "out") - own).max() <= 0.5 / 1024 + 1e-6  # as files round
    assert np.linalg.norm(own, axis=-1).max() > 1.0


def test_both_fields_are_inverse_to_each_other(tmp_path):
    shoot(kept(tmp_path), "--output", tmp_path / "out")
    there, back = (
        torch.from_numpy(field(tmp_path / "out", name) / 4).movedim(-1, 0)[None]
        for name in (FORWARD, INVERSE)
    )
    missed = compose(there, back).norm(dim=1)
    assert float(missed.max()) < 0.15
    assert float(missed.mean()) < 0.01


def test_half_the_way_and_from_there_the_other_half(tmp_path):
    """The momentum of half the time, shot on: it is the start's, not that of half the way."""
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    shoot(kept(tmp_path), "--output", whole)
    shoot(tmp_path, "--time", 0.5, "--output", halves)
    shoot(halves, "--time", 2, "--output", tmp_path / "again")
    assert np.abs(field(tmp_path / "again") - field(whole)).max() < 0.02
    assert read_json(halves / "shoot.json")["distance"] == pytest.approx(
        read_json(whole / "shoot.json")["distance"] / 2, rel=1e-4
    )


def test_back_in_time_from_the_end_is_the_beginning(tmp_path):
    """-m_1 leads from where the path ended to where it began."""
    one = momentum()
    end = followed(one.tensor(), one.kernel, one.shooting, one.grid).momentum[0].numpy()
    write_momentum(tmp_path / ENDING, Momentum(end, one.kernel, one.shooting, one.grid))
    shoot(tmp_path, "--time", -1, "--output", tmp_path / "back")
    shoot(kept(tmp_path / "there"), "--output", tmp_path / "out")
    gap = field(tmp_path / "back") - field(tmp_path / "out", INVERSE)
    assert np.linalg.norm(gap, axis=-1).max() < 0.15 * 4


def test_a_mean_of_opposite_geodesics_stays_and_of_equal_ones_is_theirs(tmp_path):
    one, other = kept(tmp_path / "one"), kept(tmp_path / "other", sign=-1.0)
    shoot("--mean", one, other, "--output", tmp_path / "none")
    assert not field(tmp_path / "none").any()
    shoot(one, "--output", tmp_path / "alone")
    shoot("--mean", one, one, "--output", tmp_path / "same")
    assert np.array_equal(field(tmp_path / "same"), field(tmp_path / "alone"))


def test_affines_of_two_scans_are_part_of_the_fields(tmp_path):
    """At time 0 the affines alone: template to moving after fixed to template."""
    moving, fixed = np.eye(4), np.eye(4)
    moving[:3, 3], fixed[:3, 3] = (3, 0, 0), (0, 2, 0)
    meta = grid_meta(GRID)
    scans = {
        "moving": {"affine": moving.tolist(), "grid": meta},
        "fixed": {"affine": fixed.tolist(), "grid": meta},
    }
    write_momentum(tmp_path / ENDING, momentum(scans=scans))
    shoot(tmp_path, "--time", 0, "--output", tmp_path / "out")
    assert np.allclose(field(tmp_path / "out"), (3, -2, 0), atol=1e-3)
    assert np.allclose(field(tmp_path / "out", INVERSE), (-3, 2, 0), atol=1e-3)


COARSE = Grid((8, 9, 7), np.diag([8.0, 8.0, 8.0, 1.0]))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["EMPTY"], "EMPTY: holds no initial momentum"),
        (["EMPTY/nothing.safetensors"], "nothing.safetensors: no such file"),
        (["TEXT"], "TEXT: is no initial momentum"),
        ([], "RESULT: is missing"),
        (["ONE", "--mean", "ONE"], "RESULT: goes alone"),
        (["ONE", "--time", "99"], "--time: "),
        (["--mean", "ONE", "COARSE"], "COARSE: lies on another grid than"),
        (["--mean", "ONE", "KERNEL"], "KERNEL: has another kernel than"),
        (["--mean", "ONE", "STRANGER"], "STRANGER: begins at sub-07, not sub-01"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, words, says):
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "TEXT").write_text("no tensors")
    kept(tmp_path / "ONE")
    write_momentum(
        tmp_path / "COARSE" / ENDING,
        Momentum(np.zeros((3, *COARSE.shape)), Fluid(0.5, 0.0, 0.005), Shooting(6), COARSE),
    )
    kept(tmp_path / "KERNEL", kernel=Gaussians((8.0,)))
    kept(tmp_path / "STRANGER", moving="sub-07")
    named = [str(tmp_path / w) if w[0].isupper() else w for w in words]
    out = tmp_path / "out"
    assert shoot(*named, "--output", out) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert says in line
    assert not out.exists()


def test_a_result_is_not_replaced_by_its_own_shot(tmp_path, capsys):
    write_momentum(tmp_path / ENDING, momentum())
    before = (tmp_path / ENDING).read_bytes()
    assert shoot(tmp_path, "--time", 0.5, "--output", tmp_path) == 2
    assert "is an input" in capsys.readouterr().err
    assert (tmp_path / ENDING).read_bytes() == before


def test_pairs_of_a_method_that_shoots_keep_momentum_and_energies(tmp_path):
    results, brain = Results(tmp_path, 8.0), template_brain(8.0)
    for n, key in enumerate(("sub-01", "sub-02")):
        write_volume(results.preproc(key), np.roll(brain.data, n, 1), brain.affine, np.float32)
    quick = tmp_path / "quick.yaml"
    write_json(
        quick,
        {
            "name": "quick",
            "title": "a few iterations",
            "citation": "none",
            "kind": "classical",
            "component": "pmrpipe.methods.lddmm:LDDMM",
            "parameters": {"levels_mm": [8], "iterations": [2], "velocity_mm": 8},
        },
    )
    pair = ("sub-01", "sub-02")
    words = ["--method", quick, "--mm", 8, "--pairs", "sub-01_to_sub-02"]
    assert main([str(w) for w in ("register-pairs", tmp_path, tmp_path / "list.tsv", *words)]) == 0
    kept_momentum = read_momentum(results.momentum("quick", *pair))
    assert kept_momentum.about["moving"] == "sub-01"
    gap = kept_momentum.at().millimetres() - read_field(results.field("quick", *pair))[0]
    assert np.abs(gap).max() < 1e-3
    rows = read_tsv(results.energies("quick", *pair))
    assert list(rows) == ["level_mm", "iteration", "total", "regularity", "matching"]
    assert rows["iteration"].tolist() == list(range(len(rows)))
    assert np.allclose(rows["total"], rows["regularity"] + rows["matching"], rtol=1e-5)
