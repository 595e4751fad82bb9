"""Arrays for training: all that a training machine needs of a cohort, in one safetensors file.

Needs numpy alone to write, safetensors and torch to read. The file is written array by array, so
that a large cohort never lies in memory as a whole, and read by memory map.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pmrpipe.base.errors import InputError
from pmrpipe.images.volume import Grid
from pmrpipe.study.tensors import Entry, read_header, read_tensor, write_tensors

if TYPE_CHECKING:
    from torch import Tensor

Array = np.ndarray | Callable[[], np.ndarray]
# An image's value 1 as uint16.
_WHOLE = 65535


@dataclass(frozen=True)
class Origin:
    """Whose scans a pack holds: what other studies that train on it have to know.

    cohort : name of the study that packed it
    train : keys of its training scans
    dataset, licence, doi : Name, License and DatasetDOI of its dataset_description.json
    """

    cohort: str | None = None
    train: tuple[str, ...] = ()
    dataset: str | None = None
    licence: str | None = None
    doi: str | None = None

    def meta(self) -> dict[str, Any]:
        """As the file says it; what is not known is left out."""
        return {name: value for name, value in vars(self).items() if value}


def pack(
    images: Mapping[str, Array],
    dsegs: Mapping[str, Array],
    grid: Grid,
    out: str | os.PathLike[str],
    labels: Sequence[int] = (),
    origin: Origin | None = None,
) -> None:
    """Write "image/<key>" and, for labelled scans, "dseg/<key>", all uint16 on `grid`.

    Metadata "pmrpipe" is JSON: shape, affine, spacing, keys, labels, and what `origin` says.

    Parameters
    ----------
    images : key -> (X, Y, Z) in [0, 1], stored as k/65535; or a function that returns it
    dsegs : key -> (X, Y, Z) labels, or a function that returns them
    labels : numbers of the labels that are scored

    Raises
    ------
    InputError : an array of another shape, labels that do not fit into 16 bits
    """
    entries = [_entry("image", key, images[key], quantised, grid) for key in sorted(images)]
    entries += [_entry("dseg", key, dsegs[key], _sixteen_bits, grid) for key in sorted(dsegs)]
    meta = grid_meta(grid) | {"keys": sorted(images), "labels": [int(n) for n in labels]}
    write_tensors(out, entries, "U16", meta | (origin or Origin()).meta())


def grid_meta(grid: Grid) -> dict[str, Any]:
    """A grid as the metadata of a pack say it."""
    return {
        "shape": list(grid.shape),
        "affine": grid.affine.tolist(),
        "spacing": list(grid.spacing),
    }


def meta_grid(meta: Mapping[str, Any]) -> Grid:
    """The grid that the metadata of a pack say."""
    return Grid(tuple(meta["shape"]), np.asarray(meta["affine"]))


def _entry(
    kind: str, key: str, array: Array, stored: Callable[[np.ndarray, str], np.ndarray], grid: Grid
) -> Entry:
    name = f"{kind}/{key}"
    return Entry(name, grid.shape, lambda: stored(array() if callable(array) else array, key))


def quantised(image: np.ndarray, key: str = "") -> np.ndarray:
    """An image in [0, 1] as uint16, k/65535; arrays that are so already are left alone."""
    if image.dtype == np.uint16:
        return image
    return np.rint(np.clip(image, 0, 1) * _WHOLE).astype(np.uint16)


def _sixteen_bits(labels: np.ndarray, key: str) -> np.ndarray:
    if labels.min() < 0 or labels.max() > 65535:
        raise InputError(key, "has labels below 0 or above 65535", "renumber them")
    return labels.astype(np.uint16)


@dataclass(frozen=True)
class Arrays:
    """What the file holds; images and label maps are read when they are asked for."""

    path: Path
    grid: Grid
    keys: tuple[str, ...]
    labelled: frozenset[str]
    labels: tuple[int, ...]
    origin: Origin = field(default_factory=Origin)

    def image(self, key: str, shape: tuple[int, int, int]) -> Tensor:
        """Image (1, 1, *shape) in [0, 1], brought to the network's grid."""
        import torch

        from pmrpipe.spatial.resize import resize_image

        values = read_tensor(self.path, f"image/{key}").astype(np.float32) / _WHOLE
        return resize_image(torch.from_numpy(values)[None, None], shape).contiguous()

    def dseg(self, key: str) -> Tensor:
        """Label map (1, 1, X, Y, Z), int32, on the file's grid."""
        import torch

        labels = read_tensor(self.path, f"dseg/{key}").astype(np.int32)
        return torch.from_numpy(labels)[None, None]


def open_arrays(path: Path) -> Arrays:
    """Read the header of a packed file; InputError when it is missing or broken."""
    meta, names = read_header(path)
    if "keys" not in meta:
        raise InputError(path, "is no pack of images", "name the file of a study's train folder")
    keys = tuple(meta["keys"])
    labelled = frozenset(key for key in keys if f"dseg/{key}" in names)
    origin = Origin(
        **{name: meta.get(name) for name in ("cohort", "dataset", "licence", "doi")},
        train=tuple(meta.get("train", ())),
    )
    return Arrays(path, meta_grid(meta), keys, labelled, tuple(meta["labels"]), origin)
