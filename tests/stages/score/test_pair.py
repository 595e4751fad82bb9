import numpy as np
import pandas as pd
import pytest

from pmrpipe.images.volume import Volume
from pmrpipe.stages.score.pair import score_pair
from pmrpipe.study.regions import region_labels

SHAPE = (12, 12, 12)
TABLE = pd.DataFrame(
    {
        "index": [4, 1, 2, 3, 5, 0],
        "name": ["d", "a", "b", "c", "e", "background"],
        "region": ["putamen", "frontal", "frontal", np.nan, "own", np.nan],
        "scored": [1, 1, 1, 1, 0, 1],
    }
)


def maps() -> tuple[np.ndarray, np.ndarray]:
    fixed = np.zeros(SHAPE, np.int32)
    fixed[2:4, 2:10, 2:10] = 1
    fixed[4:6, 2:10, 2:10] = 2
    fixed[6:8, 2:10, 2:10] = 3
    fixed[8:10, 2:10, 2:10] = 5
    warped = fixed.copy()
    warped[fixed == 2] = 0
    return fixed, warped


def scored(fixed, warped, table, field=None):
    rng = np.random.default_rng(0)
    image = rng.random(SHAPE).astype(np.float32)
    volume = None if fixed is None else Volume(fixed, np.eye(4))
    mask = np.ones(SHAPE, bool)
    return score_pair(
        volume, warped, mask, Volume(image, np.eye(4)), image, field, table,
        moving="sub-1", fixed="sub-2",
    )  # fmt: skip


def test_labels_regions_and_missing_ones():
    rows, pair = scored(*maps(), TABLE)
    assert [row["label"] for row in rows] == [1, 2, 3]  # 4 in neither map, 5 not scored
    assert [row["dice"] for row in rows] == [1, 0, 1]
    assert rows[1]["n_warped"] == 0
    assert np.isnan(rows[1]["hd95_mm"])
    assert pair["dice"] == pytest.approx(2 / 3)
    assert pair["dice_frontal"] == pytest.approx(0.5)
    assert np.isnan(pair["dice_putamen"])
    assert "dice_own" not in pair
    assert pair["hd95_mm"] == 0
    assert pair["ncc"] == pytest.approx(1)
    assert pair["folding_percent"] == pair["sdlogj"] == 0
    assert pair["interpolation"] == "nearest"


def test_background_never_counts():
    everywhere = np.zeros(SHAPE, np.int32)
    rows, pair = scored(everywhere, everywhere, TABLE)
    assert rows == []
    assert np.isnan(pair["dice"])


def test_without_labels_the_rest_is_there():
    field = np.zeros((*SHAPE, 3), np.float32)
    rows, pair = scored(None, None, None, field)
    assert rows == []
    assert np.isnan(pair["dice"])
    assert np.isnan(pair["hd95_mm"])
    assert pair["ncc"] == pytest.approx(1)
    assert pair["ndv_percent"] == 0


def test_regions_come_in_the_papers_order():
    assert list(region_labels(TABLE)) == ["frontal", "putamen"]


@pytest.mark.parametrize(
    ("moving", "noise", "said"),
    [
        ("sub-1", 1.0, "worse than its affine"),
        ("sub-1", 0.0, None),
        ("sub-1_T2w", 1.0, None),
    ],
)
def test_what_is_doubtful_of_a_pair_stands_in_its_row(moving, noise, said):
    rng = np.random.default_rng(0)
    image = rng.random(SHAPE).astype(np.float32)
    worse = image + noise * rng.random(SHAPE).astype(np.float32)
    _, row = score_pair(
        None, None, np.ones(SHAPE, bool), Volume(image, np.eye(4)), worse, None, None,
        moving=moving, fixed="sub-2", moving_image=image,
    )  # fmt: skip
    assert (said in row["doubts"]) if said else row["doubts"] is None
