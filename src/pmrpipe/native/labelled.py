"""What `parcellate` gives: a label map on the scan's grid, volumes, and a page."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_json, write_json, write_tsv
from pmrpipe.base.outputs import is_one_of
from pmrpipe.images.volume import Volume, write_volume
from pmrpipe.native.result import generated_by
from pmrpipe.stages.parcellate.fusion import Fused
from pmrpipe.stages.parcellate.page import Shown, write_page

if TYPE_CHECKING:
    import pandas as pd

VOLUMES, FACTS, PAGE = "volumes.tsv", "parcellate.json", "qc.html"
_ENDING = re.compile(r"((_desc-[A-Za-z0-9+]+)?_[A-Za-z0-9]+)?\.(nii|nii\.gz|mgz|hdr|img)$")


@dataclass(frozen=True)
class Labelled:
    """A scan's labels.

    labels : on the scan's grid, int32
    confidence : there, the share of the votes that the label won; 1 where all atlases agree
    volumes : rows of volumes.tsv
    table : index, name, region of the labels
    facts : what was done
    shown : what the page shows
    """

    labels: Volume
    confidence: Volume
    volumes: pd.DataFrame
    table: pd.DataFrame
    facts: dict[str, Any]
    shown: Shown

    @property
    def stem(self) -> str:
        """The scan's name without its suffix: sub-X of sub-X_T1w.nii.gz."""
        return _ENDING.sub("", self.facts["scan"])


def on_grid(fused: Fused, scan: Volume, box: tuple[slice, ...]) -> tuple[Volume, Volume]:
    """Labels and confidence of a part of a scan's grid, on the whole grid."""
    labels = np.zeros(scan.data.shape, np.int32)
    confidence = np.ones(scan.data.shape, np.float32)
    labels[box], confidence[box] = fused.labels, fused.confidence
    return Volume(labels, scan.affine), Volume(confidence, scan.affine)


def require_free(folder: Path, inputs: Sequence[Path]) -> None:
    """Raises InputError where a result would take the place of an input, or of others' files."""
    there = [path for path in (folder / name for name in (VOLUMES, FACTS, PAGE)) if _lies(path)]
    there += [path for path in sorted(folder.glob("*_dseg.nii.gz")) if _lies(path)]
    for path in there:
        if is_one_of(path, inputs):
            problem = "is an input, and the result would take its place"
            raise InputError(path, problem, "choose another --output, or say --overwrite")
    if there and not _is_own(folder / FACTS):
        problem = "was not written by pmrpipe parcellate, and the result would take its place"
        raise InputError(there[0], problem, "choose another --output, or say --overwrite")


def _lies(path: Path) -> bool:
    return os.path.lexists(path)


def _is_own(path: Path) -> bool:
    try:
        facts = read_json(path)
    except InputError:
        return False
    return isinstance(facts, dict) and facts.get("GeneratedBy") == generated_by() | {
        "Version": facts.get("GeneratedBy", {}).get("Version")
    }


def write_labelled(labelled: Labelled, folder: Path) -> None:
    """Write everything to `folder`, each file whole or not at all; parcellate.json first, so that
    what a killed run leaves is known as pmrpipe's."""
    stem, labels = labelled.stem, labelled.labels
    write_json(folder / FACTS, {"GeneratedBy": generated_by(), **labelled.facts})
    files = {
        f"{stem}_dseg.nii.gz": "the labels on the scan's grid",
        f"{stem}_dseg.tsv": "their names",
        f"{stem}_desc-confidence_map.nii.gz": "share of the atlases' votes that each label won",
        VOLUMES: "volume of each label and region, asymmetry, intracranial volume",
        FACTS: "what was done",
    }
    names = list(files)
    write_volume(folder / names[0], labels.data, labels.affine)
    write_tsv(folder / names[1], labelled.table[["index", "name"]])
    write_volume(folder / names[2], labelled.confidence.data, labels.affine, np.float32)
    write_tsv(folder / VOLUMES, labelled.volumes)
    facts = labelled.facts
    write_page(
        folder / PAGE,
        facts["scan"],
        labelled.shown,
        labelled.volumes,
        facts,
        files,
        facts["warnings"],
        facts["licence"],
    )
