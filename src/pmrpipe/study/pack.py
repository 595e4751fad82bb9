"""Arrays for training: all that a training machine needs, in one safetensors file.

Needs numpy alone to write, safetensors and torch to read. The file is written array by array, so
that a large cohort never lies in memory as a whole, and read by memory map.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import atomic
from pmrpipe.images.volume import Grid

if TYPE_CHECKING:
    from torch import Tensor

Array = np.ndarray | Callable[[], np.ndarray]
# An image's value 1 as uint16.
_WHOLE = 65535


def pack(
    images: Mapping[str, Array],
    dsegs: Mapping[str, Array],
    grid: Grid,
    out: str | os.PathLike[str],
    labels: Sequence[int] = (),
) -> None:
    """Write "image/<key>" and, for labelled scans, "dseg/<key>", all uint16 on `grid`.

    Metadata "pmrpipe" is JSON: shape, affine, spacing, keys, labels.

    Parameters
    ----------
    images : key -> (X, Y, Z) in [0, 1], stored as k/65535; or a function that returns it
    dsegs : key -> (X, Y, Z) labels, or a function that returns them
    labels : numbers of the labels that are scored

    Raises
    ------
    InputError : an array of another shape, labels that do not fit into 16 bits
    """
    names = [f"image/{key}" for key in sorted(images)] + [f"dseg/{key}" for key in sorted(dsegs)]
    header = _header(names, grid, {"keys": sorted(images), "labels": [int(n) for n in labels]})
    with atomic(out) as temporary, open(temporary, "wb") as handle:
        handle.write(len(header).to_bytes(8, "little") + header)
        for name in names:
            kind, key = name.split("/", 1)
            array = images[key] if kind == "image" else dsegs[key]
            values = array() if callable(array) else array
            stored = quantised(values) if kind == "image" else _sixteen_bits(values, key)
            if stored.shape != grid.shape:
                raise InputError(name, f"has shape {stored.shape}, the cohort {grid.shape}")
            handle.write(np.ascontiguousarray(stored, "<u2").tobytes())


def _header(names: Sequence[str], grid: Grid, extra: Mapping[str, Any]) -> bytes:
    """The JSON header of the safetensors format, padded to whole words."""
    meta = {
        "shape": list(grid.shape),
        "affine": grid.affine.tolist(),
        "spacing": list(grid.spacing),
        **extra,
    }
    size = 2 * int(np.prod(grid.shape))
    content: dict[str, Any] = {"__metadata__": {"pmrpipe": json.dumps(meta)}}
    for number, name in enumerate(names):
        offsets = [number * size, (number + 1) * size]
        content[name] = {"dtype": "U16", "shape": list(grid.shape), "data_offsets": offsets}
    text = json.dumps(content).encode()
    return text + b" " * (-len(text) % 8)


def quantised(image: np.ndarray) -> np.ndarray:
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

    def image(self, key: str, shape: tuple[int, int, int]) -> Tensor:
        """Image (1, 1, *shape) in [0, 1], brought to the network's grid."""
        import torch

        from pmrpipe.spatial.resize import resize_image

        full = torch.from_numpy(self._read(f"image/{key}").astype(np.float32) / _WHOLE)
        return resize_image(full[None, None], shape).contiguous()

    def dseg(self, key: str) -> Tensor:
        """Label map (1, 1, X, Y, Z), int32, on the file's grid."""
        import torch

        return torch.from_numpy(self._read(f"dseg/{key}").astype(np.int32))[None, None]

    def _read(self, name: str) -> np.ndarray:
        from safetensors import safe_open

        with safe_open(self.path, framework="np") as handle:
            return handle.get_tensor(name)


def open_arrays(path: Path) -> Arrays:
    """Read the header of a packed file; InputError when it is missing or broken."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as handle:
            meta = json.loads(handle.metadata()["pmrpipe"])
            held = set(handle.keys())
    except FileNotFoundError:
        raise InputError(path, "no such file", "run the rule pack") from None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(path, f"is no pack of pmrpipe ({error})", "run the rule pack") from None
    keys = tuple(meta["keys"])
    labelled = frozenset(key for key in keys if f"dseg/{key}" in held)
    grid = Grid(tuple(meta["shape"]), np.asarray(meta["affine"]))
    return Arrays(path, grid, keys, labelled, tuple(meta["labels"]))
