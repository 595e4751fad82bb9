"""A packed cohort of four small scans."""

import json

import numpy as np
from safetensors.numpy import save_file

KEYS = ("sub-01", "sub-02", "sub-03", "sub-04")


def scan(number: int) -> tuple[np.ndarray, np.ndarray]:
    """A ball of three shells, shifted a little from scan to scan."""
    centre = np.array([12, 10, 14]) + np.random.default_rng(number).uniform(-2, 2, 3)
    points = np.stack(np.meshgrid(*map(np.arange, (24, 20, 28)), indexing="ij"), -1)
    radius = np.linalg.norm(points - centre, axis=-1)
    labels = np.digitize(-radius, [-9, -6, -3]).astype(np.uint16)
    return np.round(labels / 3 * 65535).astype(np.uint16), labels


def write_pack(path, labelled=KEYS, keys=KEYS):
    tensors = {}
    for number, key in enumerate(keys):
        tensors[f"image/{key}"], labels = scan(number)
        if key in labelled:
            tensors[f"dseg/{key}"] = labels
    meta = {
        "shape": [24, 20, 28],
        "affine": np.eye(4).tolist(),
        "spacing": [1, 1, 1],
        "keys": keys,
        "labels": [1, 2, 3] if labelled else [],
    }
    save_file(tensors, path, metadata={"pmrpipe": json.dumps(meta)})
    return path
