"""The packed arrays of a cohort: one safetensors file, read by memory map."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pmrpipe.errors import InputError
from pmrpipe.spatial.resize import resize_image
from pmrpipe.volume import Grid


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
        full = torch.from_numpy(self._read(f"image/{key}").astype(np.float32) / 65535.0)
        return resize_image(full[None, None], shape).contiguous()

    def dseg(self, key: str) -> Tensor:
        """Label map (1, 1, X, Y, Z), int32, on the file's grid."""
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
