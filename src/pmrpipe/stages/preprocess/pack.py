"""Preprocessed scans as arrays for training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_json
from pmrpipe.images.volume import read_grid, read_image, read_labels, require_same_grid
from pmrpipe.study.labels import scored_labels
from pmrpipe.study.options.preprocessing import Packing
from pmrpipe.study.pack import Origin, pack
from pmrpipe.study.paths import Results


def run(results: Path, out: Path, options: Packing) -> None:
    """Pack the scans of a result folder that the options name."""
    paths = Results.of(results, options)
    images = {key: paths.preproc(key) for key in options.keys}
    dsegs = {key: paths.dseg(key) for key in options.labelled}
    pack_files(images, dsegs, out, scored_labels(options.table), _origin(paths, options))


def _origin(paths: Results, options: Packing) -> Origin:
    said = read_json(options.description) if options.description else {}
    facts = {
        name: str(said[key]) if said.get(key) else None
        for name, key in (("dataset", "Name"), ("licence", "License"), ("doi", "DatasetDOI"))
    }
    return Origin(cohort=paths.root.resolve().name, train=options.train, **facts)


def pack_files(
    images: Mapping[str, Path],
    dsegs: Mapping[str, Path],
    out: Path,
    labels: Sequence[int] = (),
    origin: Origin | None = None,
) -> None:
    """Pack preprocessed images and label maps of one grid, one after the other.

    Raises
    ------
    InputError : no image, or a file on another grid
    """
    if not images:
        raise InputError(out, "nothing to pack", "name at least one scan")
    first = next(iter(images.values()))
    grid = read_grid(first)
    for path in (*images.values(), *dsegs.values()):
        require_same_grid(read_grid(path), grid, path, first)
    pack(
        {key: partial(_data, read_image, path) for key, path in images.items()},
        {key: partial(_data, read_labels, path) for key, path in dsegs.items()},
        grid,
        out,
        labels,
        origin,
    )


def _data(read: Callable[[Path], Any], path: Path) -> np.ndarray:
    return read(path).data
