"""Methods beside their reference, from files to tables: what a made-up study must say."""

import shutil

import numpy as np
import pandas as pd
import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_json, read_tsv
from pmrpipe.cli import main
from pmrpipe.images.resampling import sample_displacement
from pmrpipe.images.transforms import read_field
from pmrpipe.images.volume import read_image
from pmrpipe.stages.score.reference_pairs import kind_of
from pmrpipe.stages.score.reference_tables import overlap_summary, overlap_table, times_table
from pmrpipe.study.keys import pair_name
from tests.helpers.reference_study import REFERENCE, compare, pairs
from tests.helpers.synthetic_study import make_study


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    results = make_study(tmp_path_factory.mktemp("study"), trained=False)
    compare(results)
    return results


def table(results, name):
    return read_tsv(results.beside_reference / f"{name}.tsv")


def test_each_pair_has_the_percentiles_of_its_own_voxels(study):
    by_pair = table(study, "errors_by_pair").set_index(["method", "moving", "fixed"])
    image = read_image(study.preproc("sub-02"))
    maps = [
        sample_displacement(read_field(study.field(m, "sub-01", "sub-02")), image.grid)
        for m in ("pmr", REFERENCE)
    ]
    distances = np.linalg.norm(maps[0] - maps[1], axis=-1)[image.data > 0]
    row = by_pair.loc["pmr", "sub-01", "sub-02"]
    assert row["voxels"] == distances.size
    for column, percentile in (("p0.3_mm", 0.3), ("p50_mm", 50), ("p99.7_mm", 99.7)):
        assert row[column] == pytest.approx(np.percentile(distances, percentile), rel=1e-4)
    assert len(by_pair) == 3 * 6


def test_pooled_percentiles_lie_between_those_of_the_pairs(study):
    pooled = table(study, "errors").set_index("method")
    by_pair = table(study, "errors_by_pair")
    assert pooled["pairs"].tolist() == [6, 6, 6]
    assert set(pooled["reference"]) == {REFERENCE}
    for method, rows in by_pair.groupby("method"):
        assert pooled.loc[method, "voxels"] == rows["voxels"].sum()
        for column in ("p5_mm", "p50_mm", "p95_mm"):
            value = pooled.loc[method, column]
            assert rows[column].min() - 0.01 <= value <= rows[column].max() + 0.01
    # Two go 0.15 of the way too little or too much (on a grid twice as coarse), and none 0.75.
    medians = pooled["p50_mm"] / pooled.loc["affine", "p50_mm"]
    assert medians[["pmr", "pmr-cc"]].tolist() == pytest.approx([0.2, 0.2], abs=0.1)


def test_histograms_are_whole_and_the_identity_is_one_class(study):
    rows = table(study, "jacobians")
    sums = rows.groupby(["method", "quantity"])["percent"].sum()
    np.testing.assert_allclose(sums, 100, atol=1e-3)
    one = rows[(rows["method"] == "affine") & (rows["quantity"] == "log10_jacobian")]
    assert one[["low", "high", "percent"]].to_numpy().tolist() == [[0, 0.02, 100]]
    # Nothing minus the reference: its histogram mirrored, but for the classes' edges.
    of = rows[rows["method"] == "affine"].set_index("quantity")
    mean = {
        name: float((of.loc[name, "low"] + 0.01) @ of.loc[name, "percent"]) / 100
        for name in ("reference_log10_jacobian", "log10_jacobian_difference")
    }
    assert mean["log10_jacobian_difference"] == pytest.approx(
        -mean["reference_log10_jacobian"], abs=0.02
    )


def test_overlap_is_the_mean_over_labels_of_the_fixed_scan(study):
    rows = table(study, "overlap")
    by_label = read_tsv(study.score("pmr") / "by_label.tsv")
    wanted = by_label[
        (by_label["moving"] == "sub-01")
        & (by_label["fixed"] == "sub-03")
        & (by_label["n_fixed"] > 0)
    ]["target_overlap"].mean()
    own = rows[
        (rows["method"] == "pmr") & (rows["moving"] == "sub-01") & (rows["fixed"] == "sub-03")
    ]
    assert own["target_overlap"].item() == pytest.approx(wanted, rel=1e-4)


def test_every_table_says_what_it_is(study):
    for path in study.beside_reference.glob("*.tsv"):
        assert len(read_json(path.with_suffix(".json"))["Description"]) > 30


def test_published_rows_stand_behind_ours_and_are_marked():
    overlap = pd.DataFrame(
        {
            "method": ["quicksilver"] * 3 + ["lddmm"] * 3,
            "moving": ["a", "b", "c"] * 2,
            "fixed": ["b", "c", "a"] * 2,
            "target_overlap": [0.5, 0.6, 0.7, 0.4, 0.6, 0.8],
        }
    )
    rows = overlap_summary(overlap, {"quicksilver": "lddmm"}, "cumc12").set_index("method")
    assert rows.loc["quicksilver", "no_less_percent"] == pytest.approx(200 / 3)
    assert rows.loc["quicksilver", ["mean", "median"]].tolist() == pytest.approx([0.6, 0.6])
    assert rows.loc["quicksilver", "sd"] == pytest.approx(0.1)
    assert rows.loc["Quicksilver LO", "source"] == "published (CUMC12)"
    assert rows.loc["Quicksilver LO", ["pairs", "median"]].tolist() == [132, 0.5357]
    assert len(overlap_summary(overlap, {}, "mine")) == 2


def test_times_are_those_of_the_same_pairs(study):
    from pmrpipe.metrics.tables import read_scores

    scores = {name: read_scores(study.score(name)) for name in (REFERENCE, "pmr")}
    rows = times_table(scores, {"pmr": REFERENCE}).set_index("method")
    seconds = {name: one.timing["seconds"].median() for name, one in scores.items()}
    assert rows.loc["pmr", "share_percent"] == pytest.approx(
        100 * seconds["pmr"] / seconds[REFERENCE]
    )
    assert pd.isna(rows.loc[REFERENCE, "share_percent"])
    assert len(overlap_table(scores)) == 12


def test_what_a_pair_joins():
    template = "tpl-MNI"
    assert kind_of("sub-01", "sub-02", template) == "image-to-image"
    assert kind_of(template, "sub-02", template) == "atlas-to-image"
    assert kind_of("sub-01", template, template) == "image-to-atlas"


def test_a_missing_field_is_no_identity(study, tmp_path, capsys):
    copied = tmp_path / "study"
    shutil.copytree(study.root, copied)
    pair = pairs()[0]
    for path in copied.glob(f"register/pmr/{pair_name(*pair)}/*xfm.nii.gz"):
        path.unlink()
    words = ["--mm", "8", "--method", "pmr", "--reference", REFERENCE, "--pairs", pair_name(*pair)]
    assert main(["compare-pairs", str(copied), str(tmp_path / "out"), *words]) == 2
    assert "run the target register" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_job_s_table_that_is_missing_is_named(study):
    with pytest.raises(InputError, match=r"errors_by_pair\.tsv: no such file"):
        compare(study, jobs=("pmr/absent",))
