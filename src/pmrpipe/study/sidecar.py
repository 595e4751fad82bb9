"""JSON beside every derivative: what it is made of and how. File names only, no folders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pmrpipe.base.files import read_json, sha256, write_json
from pmrpipe.images.volume import Grid
from pmrpipe.study.space import DEFAULT_SPACE

CHECKSUMS = "SourcesSHA256"
_SPACE = "SpatialReference"


def sidecar_path(path: str | os.PathLike[str]) -> Path:
    """The JSON file of an image or transform: the same name, other suffix."""
    name = Path(path).name
    for suffix in (".nii.gz", ".nii", ".mat", ".txt"):
        if name.endswith(suffix):
            return Path(path).with_name(name.removesuffix(suffix) + ".json")
    return Path(path).with_suffix(".json")


def write_sidecar(path: str | os.PathLike[str], sources: list[Any], **content: Any) -> None:
    """Write the sidecar of `path`; `sources` are paths, None among them is left out."""
    names = [Path(source).name for source in sources if source is not None]
    write_json(sidecar_path(path), {**content, "Sources": names})


def checksums(*sources: str | os.PathLike[str] | None) -> dict[str, dict[str, str]]:
    """Sidecar entry for files that came from outside: their names and SHA-256."""
    return {CHECKSUMS: {Path(source).name: sha256(source) for source in sources if source}}


def on_template(grid: Grid, space: str = DEFAULT_SPACE) -> dict[str, str]:
    """What BIDS asks of an image on the template grid of the space of this name."""
    shape = "x".join(str(n) for n in grid.shape)
    spacing = " x ".join(f"{mm:g}" for mm in grid.spacing)
    return {
        _SPACE: space,
        "Resolution": f"{spacing} mm, {shape} voxels, cropped to the brain",
    }


def space_of(template: str | os.PathLike[str]) -> str:
    """Name of the space that an image lies in, by its sidecar; the default without one."""
    path = sidecar_path(template)
    return read_json(path).get(_SPACE, DEFAULT_SPACE) if path.exists() else DEFAULT_SPACE


def direction(space: str = DEFAULT_SPACE, contrast: str = "T1w") -> str:
    """What an affine of a scan does, for its sidecar."""
    return (
        f"maps points of {space} (fixed) to points of the {contrast} (moving); "
        f"antsApplyTransforms resamples images from {contrast} to {space} with it"
    )
