import numpy as np
import pandas as pd
import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.images.volume import Grid
from pmrpipe.metrics import tables
from pmrpipe.metrics.sidecar import label_digest, require_comparable, sidecar

LABELS = pd.DataFrame(
    {"index": [1, 2], "name": ["a", "b"], "region": ["frontal", np.nan], "scored": [1, 1]}
)
GRID = Grid((4, 5, 6), np.eye(4))
SPLIT = {"test": ["sub-2", "sub-1"], "train": ["sub-3"]}


def described(table=LABELS, grid=GRID, interpolation="nearest", split=SPLIT, **more):
    return sidecar(table, grid, interpolation=interpolation, split=split, pmrpipe="1.0", **more)


def scores(moving="sub-1", fixed="sub-2", **changes) -> tables.MethodScores:
    names = {"moving": moving, "fixed": fixed}
    pair = {**names, "dice": 0.5, "dice_frontal": 0.4, "interpolation": "nearest"}
    label = {**names, "label": 1, "name": "a", "region": "frontal", "dice": 0.4, "n_fixed": 3}
    return tables.MethodScores(
        tables.by_label_table([label]),
        tables.by_pair_table([pair], ["frontal"]),
        tables.timing_table([{**names, "seconds": 1.5, "device": "cpu", "threads": 1}]),
        described(**changes),
    )


def test_columns_are_the_promised_ones():
    by_pair = "moving fixed dice dice_frontal hd95_mm folding_percent ndv_percent sdlogj ncc"
    by_pair += " interpolation inverse_consistency_mm"
    appended = "strain strain_volume strain_shear doubts"
    assert list(scores().by_pair.columns) == [*by_pair.split(), *appended.split()]
    by_label = "moving fixed label name region dice target_overlap hd95_mm msd_mm n_fixed n_warped"
    assert list(scores().by_label.columns) == by_label.split()
    timing = "moving fixed seconds device threads network_mm"
    assert list(scores().timing.columns) == timing.split()


def test_written_tables_come_back(tmp_path):
    tables.write_scores(tmp_path, scores())
    read = tables.read_scores(tmp_path)
    pd.testing.assert_frame_equal(read.by_pair, scores().by_pair, check_dtype=False)
    assert read.sidecar == scores().sidecar
    assert tables.regions_of(read.by_pair) == ["frontal"]
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "by_label.json", "by_label.tsv", "by_pair.json", "by_pair.tsv", "timing.tsv"
    ]  # fmt: skip


def test_tables_from_before_a_metric_are_read_without_it(tmp_path):
    tables.write_scores(tmp_path, scores())
    path = tmp_path / "by_pair.tsv"
    old = [line.split("\t")[:-4] for line in path.read_text().splitlines()]
    path.write_text("\n".join("\t".join(line) for line in old) + "\n")
    by_pair = tables.read_scores(tmp_path).by_pair
    assert list(by_pair.columns) == list(scores().by_pair.columns)
    assert by_pair["strain"].isna().all()


def test_a_table_that_lacks_a_promised_column_is_refused(tmp_path):
    tables.write_scores(tmp_path, scores())
    path = tmp_path / "by_pair.tsv"
    path.write_text(path.read_text().replace("sdlogj", "else"))
    with pytest.raises(InputError, match="sdlogj"):
        tables.read_scores(tmp_path)


def test_writing_twice_gives_the_same_bytes(tmp_path):
    for name in ("first", "second"):
        tables.write_scores(tmp_path / name, scores())
    for file in sorted((tmp_path / "first").iterdir()):
        assert file.read_bytes() == (tmp_path / "second" / file.name).read_bytes()


def test_batches_join_in_order_and_keep_integers():
    empty = tables.MethodScores(tables.by_label_table([]), tables.by_pair_table([], ["frontal"]))
    joined = tables.concatenate([scores("sub-2", "sub-1"), empty, scores()])
    assert joined.by_pair["moving"].tolist() == ["sub-1", "sub-2"]
    assert joined.by_label["n_fixed"].dtype.kind == "i"
    assert len(joined.timing) == 2


def test_equal_descriptions_are_comparable():
    require_comparable({"syn": described(), "pmr": described(split=dict(reversed(SPLIT.items())))})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"interpolation": "linear"}, 'interpolation.*"linear" here, "nearest" there'),
        ({"table": LABELS[:1]}, r"labels.*the other has \[2\]"),
        ({"table": LABELS.assign(region="parietal")}, "regions.*in frontal, parietal"),
        ({"split": {"test": ["sub-9"]}}, "split.*in test, train"),
        ({"grid": Grid((4, 5, 7), np.eye(4))}, "grid.*in shape"),
        ({"space": "Colin27"}, 'space.*"Colin27" here, "MNI152NLin2009aSym" there'),
        ({"table": None}, "labels"),
    ],
)
def test_different_descriptions_are_refused_and_the_difference_named(change, named):
    with pytest.raises(InputError, match=f"pmr: {named}"):
        require_comparable({"syn": described(), "pmr": described(**change)})


def test_tables_from_before_spaces_had_names_are_of_the_default_one():
    before = {name: value for name, value in described().items() if name != "space"}
    require_comparable({"syn": before, "pmr": described()})
    with pytest.raises(InputError, match="pmr: space"):
        require_comparable({"syn": before, "pmr": described(space="Colin27")})


def test_label_digest_sees_content_and_not_row_order():
    assert label_digest(LABELS) == label_digest(LABELS[::-1].assign(tissue="gm"))
    assert label_digest(LABELS) == label_digest(LABELS.assign(scored=True))
    assert label_digest(LABELS) != label_digest(LABELS.assign(scored=[1, 0]))
