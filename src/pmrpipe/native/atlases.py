"""A folder of atlases: scans with label maps, and the table that names the labels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_json, sha256
from pmrpipe.images.volume import read_grid, read_labels, require_same_grid
from pmrpipe.stages.cohort.index import index
from pmrpipe.stages.cohort.scans import Scan
from pmrpipe.study.config import Study, parse
from pmrpipe.study.labels import read_label_table, require_own_table
from pmrpipe.study.options.parcellation import Parcellation

if TYPE_CHECKING:
    import pandas as pd

_T1W = re.compile(r"(?:_desc-(?P<desc>[A-Za-z0-9+]+))?_T1w\.(nii|nii\.gz)$")
_DSEG = re.compile(r"(?:_desc-(?P<desc>[A-Za-z0-9+]+))?_dseg\.(nii|nii\.gz)$")


@dataclass(frozen=True)
class Atlas:
    """A T1w scan and its label map, on the scan's grid."""

    key: str
    scan: Path
    labels: Path


@dataclass(frozen=True)
class Atlases:
    """The atlases of a dataset, the table of their labels (index, name, region), its licence."""

    scans: tuple[Atlas, ...]
    table: pd.DataFrame
    licence: str | None = None


def read_atlases(options: Parcellation, state: str) -> Atlases:
    """List a dataset's labelled scans; no image is opened.

    Parameters
    ----------
    state : `head`, or `brain` where the brains have been extracted

    Raises
    ------
    InputError : no such folder; several kinds of scans, label maps or tables and no option that
        chooses; no labelled scan; a subject to leave out that is not there
    """
    root = options.atlases
    if not root.is_dir():
        raise InputError(root, "no such folder", "name the dataset of the atlases")
    inputs = {
        "t1w_desc": options.t1w_desc or _one_kind(root, _T1W, "t1w_desc"),
        "labels_desc": options.labels_desc or _one_kind(root, _DSEG, "labels_desc"),
    }
    table = options.label_table or str(_own_table(root))
    study = parse(
        {
            "cohort": "atlases",
            "root": str(root),
            "input_state": state,
            "inputs": inputs,
            "labels": table,
            "methods": ["affine"],
            "exclude": dict.fromkeys(options.leave_out, "left out"),
        }
    )
    scans = tuple(
        Atlas(scan.key, scan.image, scan.labels)
        for scan in _listed(study, root)
        if scan.labels is not None
    )
    if not scans:
        raise InputError(root, "holds no T1w scan with a label map", "see --labels-desc")
    return Atlases(scans, read_label_table(table), _licence(root))


def _listed(study: Study, root: Path) -> tuple[Scan, ...]:
    """The scans of the dataset; what a study says of `exclude` the command says of --leave-out."""
    try:
        return index(study).scans
    except InputError as error:
        if error.subject == "exclude":
            raise InputError("--leave-out", error.problem, error.remedy) from None
        if "`exclude`" in error.remedy:
            raise InputError(root, "has no atlas left", "shorten --leave-out") from None
        raise


def require_no_atlas(scan: Path, atlases: Atlases) -> None:
    """InputError when a scan would be labelled by its own label map: no test of anything."""
    size = scan.stat().st_size if scan.is_file() else None
    for atlas in atlases.scans:
        if atlas.scan.stat().st_size == size and sha256(atlas.scan) == sha256(scan):
            problem = f"is the atlas {atlas.key} itself, whose labels would come back"
            raise InputError(scan, problem, f"say --leave-out {atlas.key}")


def require_table(atlases: Atlases) -> list[str]:
    """Read every label map before anything is registered; warnings of labels that count as none.

    Raises
    ------
    InputError : a label map that is empty, does not lie on its scan's grid, or belongs to another
        table: more than half of its labels are not listed
    """
    known: set[int] = {*atlases.table["index"].astype(int)}
    strange: set[int] = set()
    for atlas in atlases.scans:
        labels = read_labels(atlas.labels)
        require_same_grid(labels, read_grid(atlas.scan), atlas.labels, atlas.scan)
        present = set(np.unique(labels.data).tolist())
        if not present - {0}:
            remedy = f"say --leave-out {atlas.key}"
            raise InputError(atlas.labels, "holds no label above 0", remedy)
        strange |= require_own_table(atlas.labels, present, known, "the table")
    if not strange:
        return []
    shown = ", ".join(map(str, sorted(strange)[:8]))
    return [f"labels that the table does not list count as background: {shown}"]


def listed(labels: np.ndarray, table: pd.DataFrame) -> np.ndarray:
    """The labels that a table lists; 0 for others."""
    return np.where(np.isin(labels, table["index"].astype(int)), labels, 0)


def _one_kind(root: Path, pattern: re.Pattern[str], option: str) -> str | None:
    """The `desc-` that all files of a kind bear; None without one."""
    names = (path.name for path in root.glob("sub-*/**/anat/*.nii*"))
    kinds = {match["desc"] for name in names if (match := pattern.search(name))}
    if len(kinds) > 1:
        shown = ", ".join(sorted(kind or "none" for kind in kinds))
        flag = f"--{option.replace('_', '-')}"
        raise InputError(
            root, f"holds files of several kinds (desc-: {shown})", f"choose by {flag}"
        )
    return next(iter(kinds), None)


def _own_table(root: Path) -> Path:
    tables = sorted(root.glob("*dseg.tsv"))
    if len(tables) != 1:
        problem = "holds no label table" if not tables else "holds several label tables"
        raise InputError(root, problem, "name one by --label-table")
    return tables[0]


def _licence(root: Path) -> str | None:
    """What the dataset's description says, where it has one."""
    try:
        description = read_json(root / "dataset_description.json")
    except InputError:
        return None
    return description.get("License") if isinstance(description, dict) else None
