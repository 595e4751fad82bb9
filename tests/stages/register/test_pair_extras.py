"""What register-pairs and register-levels write beside the pairs: uncertainty, level fields."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml

from pmrpipe.base.files import read_tsv, write_json, write_tsv
from pmrpipe.cli import main
from pmrpipe.images.transforms import read_field
from pmrpipe.images.volume import read_image, write_volume
from pmrpipe.methods.load import build
from pmrpipe.methods.spec import spec
from pmrpipe.methods.weights import MODEL, save_weights
from pmrpipe.study.paths import Results
from pmrpipe.study.space import template_brain

MM = 8.0
KEYS = ("sub-01", "sub-02", "sub-03")
PAIRS = [(m, f) for m in KEYS for f in KEYS if m != f]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    paths = Results(tmp_path_factory.mktemp("study"), MM)
    brain = template_brain(MM)
    for n, key in enumerate(KEYS):
        write_volume(paths.preproc(key), np.roll(brain.data, n, axis=1), brain.affine, np.float32)
    return paths


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    save_weights(build(spec("pmr"), MM), folder)
    write_json(folder / MODEL, {"method": "pmr", "network_mm": MM})
    return folder


def register(results, method, out, *words, pairs=PAIRS[:2]):
    names = [f"{m}_to_{f}" for m, f in pairs]
    verb = ["register-pairs", results.root, out, "--method", method, "--mm", MM, "--device", "cpu"]
    return main([str(word) for word in (*verb, *words, "--pairs", *names)])


def with_uncertainty(results, weights, table, pairs=PAIRS[:2]):
    words = ("--weights", weights, "--network-mm", MM, "--uncertainty", 3)
    words += ("--uncertainty-table", table)
    return register(results, "pmr", table.with_name("list.tsv"), *words, pairs=pairs)


def test_each_pair_gets_a_map_and_a_row(results, weights, tmp_path):
    table = tmp_path / "maps.tsv"
    assert with_uncertainty(results, weights, table) == 0
    rows = read_tsv(table)
    assert rows[["moving", "fixed"]].to_numpy().tolist() == [list(pair) for pair in PAIRS[:2]]
    for row in rows.itertuples():
        path = results.uncertainty("pmr", row.moving, row.fixed)
        image, fixed = read_image(path), read_image(results.preproc(row.fixed))
        assert image.grid == fixed.grid
        assert (image.data[fixed.data == 0] == 0).all()
        inside = image.data[fixed.data > 0]
        assert 0 < inside.mean() < 1
        assert row.sd_mean_mm == pytest.approx(inside.mean(), abs=1e-3)
        assert row.sd_p95_mm == pytest.approx(np.quantile(inside, 0.95), abs=1e-3)
        about = json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())
        assert (about["Units"], about["Samples"]) == ("mm", 3)


def test_a_map_does_not_depend_on_the_pairs_before_it(results, weights, tmp_path):
    path = results.uncertainty("pmr", *PAIRS[1])
    with_uncertainty(results, weights, tmp_path / "both.tsv")
    first = path.read_bytes()
    with_uncertainty(results, weights, tmp_path / "one.tsv", pairs=PAIRS[1:2])
    assert path.read_bytes() == first


def test_the_method_s_factor_scales_the_map(results, weights, tmp_path):
    words = ("--weights", weights, "--network-mm", MM, "--uncertainty", 3, "--overwrite")
    maps = []
    for factor in (1, 4):
        text = yaml.safe_dump({**spec("pmr").model_dump(), "uncertainty_factor": factor})
        (tmp_path / "mine.yaml").write_text(text)
        code = register(results, tmp_path / "mine.yaml", tmp_path / "list.tsv", *words)
        assert code == 0
        path = results.uncertainty("pmr", *PAIRS[0])
        about = json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())
        assert about["CalibrationFactor"] == factor
        maps.append(read_image(path).data)
    np.testing.assert_allclose(maps[1], 4 * maps[0], atol=5 / 2048)  # both are rounded


def test_a_method_without_a_posterior_writes_none_and_says_so(results, tmp_path, capsys):
    words = ("--uncertainty", 3, "--uncertainty-table", tmp_path / "maps.tsv")
    assert register(results, "affine", tmp_path / "list.tsv", *words) == 0
    assert "affine has no posterior" in capsys.readouterr().err
    assert not results.uncertainty("affine", *PAIRS[0]).exists()
    assert not (tmp_path / "maps.tsv").exists()


def test_a_method_that_does_not_deform_writes_no_field_and_is_scored_as_the_identity(
    results, tmp_path
):
    listed = tmp_path / "list.tsv"
    assert register(results, "affine", listed) == 0
    assert read_tsv(listed)["deforms"].tolist() == [0, 0]
    assert not results.field("affine", *PAIRS[0]).exists()
    words = ["score-pairs", results.root, listed, tmp_path / "score", "--method", "affine"]
    assert main([str(word) for word in (*words, "--mm", MM)]) == 0
    assert (read_tsv(tmp_path / "score" / "by_pair.tsv")["sdlogj"] == 0).all()


def test_a_missing_field_does_not_pass_for_the_identity(results, weights, tmp_path, capsys):
    listed = tmp_path / "list.tsv"
    words = ("--weights", weights, "--network-mm", MM)
    assert register(results, "pmr", listed, *words) == 0
    assert read_tsv(listed)["deforms"].tolist() == [1, 1]
    results.field("pmr", *PAIRS[0]).unlink()
    words = ["score-pairs", results.root, listed, tmp_path / "score", "--method", "pmr", "--mm", MM]
    assert main([str(word) for word in words]) == 2
    assert results.field("pmr", *PAIRS[0]).name in capsys.readouterr().err


def test_one_sample_is_refused(results, tmp_path, capsys):
    assert register(results, "affine", tmp_path / "list.tsv", "--uncertainty", 1) == 2
    assert "give at least 2" in capsys.readouterr().err


def levels(results, method, weights, *words):
    verb = ("register-levels", results.root, "--method", method, "--mm", MM, "--device", "cpu")
    words = (*verb, "--weights", weights, "--network-mm", MM, *words)
    return main([str(word) for word in words])


def test_levels_of_the_best_median_and_worst_pair(results, weights):
    rows = [{"moving": m, "fixed": f, "dice": n / 10, "ncc": 0.9} for n, (m, f) in enumerate(PAIRS)]
    write_tsv(results.score("mine") / "by_pair.tsv", pd.DataFrame(rows))
    assert levels(results, "pmr", weights, "--name", "mine") == 0
    listed = read_tsv(results.levels("mine") / "levels.tsv")
    chosen = {PAIRS[5], PAIRS[2], PAIRS[0]}
    assert set(zip(listed["moving"], listed["fixed"], strict=True)) == chosen
    assert sorted(listed["level"].unique()) == [1, 2, 3, 4]
    for row in listed.itertuples():
        field, grid = read_field(results.level_field("mine", row.moving, row.fixed, row.level))
        assert grid.spacing == (MM, MM, MM)
        assert np.linalg.norm(field, axis=-1).max() == pytest.approx(row.max_mm, abs=2e-3)


def test_a_method_without_levels_is_refused(results, tmp_path, capsys):
    save_weights(build(spec("faim"), MM), tmp_path)
    write_json(tmp_path / MODEL, {"method": "faim", "network_mm": MM})
    assert levels(results, "faim", tmp_path) == 2
    assert "has no levels" in capsys.readouterr().err
