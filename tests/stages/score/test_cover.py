"""Outside the cover of a scan of another contrast nothing is scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pmrpipe.images.transforms import write_affine
from pmrpipe.images.volume import Grid, Volume, write_volume
from pmrpipe.stages.score.cover import pair_cover
from pmrpipe.stages.score.files import _covered
from pmrpipe.study.paths import Results

GRID = Grid((10, 10, 10), np.eye(4))


def results(folder: Path) -> Results:
    """A T2w whose slices hold z from 3 to 6 of the template's grid."""
    paths = Results(folder, 1.0)
    affine = np.eye(4)
    affine[2, 3] = 3.0
    write_volume(paths.brain("sub-01_T2w"), np.ones((10, 10, 4), np.float32), affine)
    write_affine(paths.affine("sub-01_T2w"), np.eye(4))
    return paths


def planes(cover: np.ndarray) -> list[int]:
    return np.flatnonzero(cover.all(axis=(0, 1))).tolist()


def test_two_t1w_are_scored_everywhere(tmp_path: Path) -> None:
    assert pair_cover(results(tmp_path), "sub-01", "sub-02", GRID, None) is None


def test_a_fixed_slab_counts_where_it_is(tmp_path: Path) -> None:
    cover = pair_cover(results(tmp_path), "sub-02", "sub-01_T2w", GRID, None)
    assert cover is not None
    assert planes(cover) == [3, 4, 5, 6]


def test_a_moving_slab_counts_where_it_is_brought(tmp_path: Path) -> None:
    field = np.zeros((10, 10, 10, 3), np.float32)
    field[..., 2] = 2.0
    cover = pair_cover(results(tmp_path), "sub-01_T2w", "sub-02", GRID, (field, GRID))
    assert cover is not None
    assert planes(cover) == [1, 2, 3, 4]
    labels = Volume(np.ones((10, 10, 10), np.int32), np.eye(4))
    kept = _covered(labels, cover)
    assert kept is not None
    assert int(kept.data.sum()) == 400
