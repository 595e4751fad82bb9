"""Reads the images, label maps and fields of a study's registered pairs, for their pictures."""

from __future__ import annotations

from functools import lru_cache
from itertools import count, takewhile
from pathlib import Path

import numpy as np
import pandas as pd

from pmrpipe.drawing.views import View, views_of
from pmrpipe.images.open import open_image
from pmrpipe.images.resampling import Field
from pmrpipe.images.transforms import read_field
from pmrpipe.images.volume import read_image, read_labels
from pmrpipe.study.paths import Results
from pmrpipe.study.regions import region_labels, scored_labels


class PairReader:
    """Reads pairs of one study; images that several pairs share are read once."""

    def __init__(self, results: Results, label_table: pd.DataFrame | None) -> None:
        self._results = results
        self._lookup = None if label_table is None else _region_lookup(label_table)
        self._image = lru_cache(maxsize=12)(lambda key: read_image(self._path(key)))
        self._labels = lru_cache(maxsize=12)(self._read_labels)

    def _path(self, key: str) -> Path:
        results = self._results
        return results.template if key == results.space.key else results.preproc(key)

    def _read_labels(self, path: Path) -> np.ndarray | None:
        return read_labels(path).data if self._lookup is not None and path.exists() else None

    def _to_regions(self, labels: np.ndarray) -> np.ndarray:
        lookup = np.zeros(1, np.int32) if self._lookup is None else self._lookup
        return lookup[np.clip(labels, 0, len(lookup) - 1)]

    def views(self, method: str, moving: str, fixed: str) -> list[View] | None:
        """The three views of a pair, or None when its images are not there (any more)."""
        warped_path = self._results.warped(method, moving, fixed)
        if not all(path.exists() for path in (warped_path, self._path(moving), self._path(fixed))):
            return None
        first, second = self._image(moving), self._image(fixed)
        warped = read_image(warped_path)
        if not first.shape == second.shape == warped.shape:
            return None
        maps = (
            self._labels(self._results.dseg(moving)),
            self._labels(self._results.dseg(fixed)),
            self._read_labels(self._results.warped_dseg(method, moving, fixed)),
        )
        images = (first.data, second.data, warped.data)
        field = _read_field(self._results.field(method, moving, fixed))
        return views_of(
            images,
            second.grid,
            field,
            maps,
            self._to_regions,
            uncertainty=self._uncertainty(method, moving, fixed, second.shape),
            levels=self._level_fields(method, moving, fixed),
        )

    def _uncertainty(
        self, method: str, moving: str, fixed: str, shape: tuple[int, ...]
    ) -> np.ndarray | None:
        path = self._results.uncertainty(method, moving, fixed)
        # Not as an image: a network without a doubt gives a map of zeros.
        opened = open_image(path) if path.exists() else None
        return opened.read(np.float32) if opened and opened.image.shape == shape else None

    def _level_fields(self, method: str, moving: str, fixed: str) -> list[Field]:
        paths = (self._results.level_field(method, moving, fixed, n) for n in count(1))
        return [read_field(path) for path in takewhile(Path.exists, paths)]


def _region_lookup(label_table: pd.DataFrame) -> np.ndarray:
    """Label number to region number (1, 2, ... in the regions' order), 0 elsewhere.

    Where no label belongs to a region, every scored label is region 1, 2, ... by itself.
    """
    groups = list(region_labels(label_table).values())
    groups = groups or [np.array([label]) for label in scored_labels(label_table)]
    # One entry more than the largest label: unknown larger numbers are clipped to it.
    lookup = np.zeros(int(label_table["index"].max()) + 2, np.int32)
    for number, labels in enumerate(groups, start=1):
        lookup[labels] = number
    return lookup


def _read_field(path: Path) -> Field | None:
    return read_field(path) if path.exists() else None
