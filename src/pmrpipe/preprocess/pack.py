"""Arrays for training: all that a training machine needs, in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pmrpipe.files import atomic
from pmrpipe.volume import Grid


def pack(
    images: Mapping[str, np.ndarray],
    dsegs: Mapping[str, np.ndarray],
    grid: Grid,
    out: Path,
    labels: Sequence[int] = (),
) -> None:
    """Write "image/<key>" (uint16, k/65535 in [0, 1]) and "dseg/<key>" (uint16), all on `grid`."""
    from safetensors.numpy import save_file

    tensors = {f"image/{k}": quantised(v) for k, v in images.items()}
    tensors |= {f"dseg/{k}": np.ascontiguousarray(v, np.uint16) for k, v in dsegs.items()}
    meta = {
        "shape": list(grid.shape),
        "affine": grid.affine.tolist(),
        "spacing": list(grid.spacing),
        "keys": sorted(images),
        "labels": [int(label) for label in labels],
    }
    with atomic(out) as temporary:
        save_file(tensors, temporary, metadata={"pmrpipe": json.dumps(meta)})


def quantised(image: np.ndarray) -> np.ndarray:
    """An image in [0, 1] as uint16; arrays that are so already are left alone."""
    return image if image.dtype == np.uint16 else np.rint(image * 65535).astype(np.uint16)
