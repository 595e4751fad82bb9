"""Index a BIDS dataset by listing its folders: no image is opened, nothing is written."""

from __future__ import annotations

import os
import re
from pathlib import Path

from pmrpipe.base.errors import InputError
from pmrpipe.stages.cohort.scans import Scan, brain_method, chosen_method, named_file, overrides_of
from pmrpipe.study.config import Study

_EXTENSIONS = (".nii.gz", ".nii", ".mgz", ".hdr", ".img", ".img.gz")
_NAME = re.compile(
    r"^(?P<key>sub-[A-Za-z0-9]+(?:_ses-[A-Za-z0-9]+)?)(?P<entities>(?:_[a-z]+-[A-Za-z0-9+]+)*)_T1w\."
)


def index_bids(study: Study) -> list[Scan]:
    """All T1w scans below `root`, sorted by key; splits are not set yet.

    Raises
    ------
    InputError : the folder is missing or holds no matching scan, or a file that the
        configuration names is missing
    """
    root = study.input_root
    if not root.is_dir():
        raise InputError(root, "no such folder", "give the dataset with --config root=FOLDER")
    wanted = set(study.subjects) if study.subjects is not None else None
    scans = [
        _scan(study, root, path, key)
        for subject in _subfolders(root, "sub-")
        if wanted is None or subject.name in wanted
        for path, key in _t1w_files(subject, study.inputs.t1w_desc)
    ]
    _require_found(root, wanted, {scan.subject for scan in scans})
    if not scans:
        desc = study.inputs.t1w_desc
        name = f"sub-*_desc-{desc}_T1w.nii.gz" if desc else "sub-*_T1w.nii.gz"
        raise InputError(root, f"holds no sub-*/[ses-*/]anat/{name}", _dicom_hint(root))
    return sorted(scans, key=lambda scan: scan.key)


def index_fmriprep(study: Study) -> list[Scan]:
    """The T1w scans of fMRIPrep's derivatives, with its brain masks and aseg labels.

    What `inputs` and `brain` say themselves has precedence.
    """
    usual = {"t1w_desc": "preproc", "labels_desc": "aseg", "masks_root": "."}
    given = {name: getattr(study.inputs, name) for name in study.inputs.model_fields_set}
    inputs = study.inputs.model_copy(update=usual | given)
    return index_bids(study.model_copy(update={"inputs": inputs, "brain": study.brain or "mask"}))


def _subfolders(folder: Path, prefix: str) -> list[Path]:
    with os.scandir(folder) as entries:
        names = [e.name for e in entries if e.name.startswith(prefix) and e.is_dir()]
    return [folder / name for name in sorted(names)]


def _t1w_files(subject: Path, desc: str | None) -> list[tuple[Path, str]]:
    found: dict[str, Path] = {}
    for place in [subject, *_subfolders(subject, "ses-")]:
        anat = place / "anat"
        for name in sorted(os.listdir(anat)) if anat.is_dir() else []:
            key = _key(name, desc)
            if key is None:
                continue
            if key in found and found[key].name.split(".")[0] != name.split(".")[0]:
                problem = f"and {name} are both the T1w of {key}"
                raise InputError(found[key], problem, "tell them apart by run- or remove one")
            found.setdefault(key, anat / name)
    return [(path, key) for key, path in found.items()]


def _key(name: str, desc: str | None) -> str | None:
    match = _NAME.match(name)
    if not match or not name.endswith(_EXTENSIONS):
        return None
    pairs = [item.split("-", 1) for item in match["entities"].split("_") if item]
    entities = dict(pairs)
    if entities.get("desc") != desc or "space" in entities:
        return None
    run = f"_run-{entities['run']}" if "run" in entities else ""
    return match["key"] + run


def _scan(study: Study, root: Path, t1w: Path, key: str) -> Scan:
    options, inputs = overrides_of(study, key), study.inputs
    labels = mask = None
    if study.labels is not None:
        labels = named_file(study, options.get("labels")) or _beside(
            root, t1w, key, inputs.labels_root or ".", inputs.labels_desc, "dseg"
        )
    if "mask" in options or inputs.masks_root is not None:
        mask = named_file(study, options.get("mask")) or _beside(
            root, t1w, key, inputs.masks_root or ".", inputs.masks_desc, "mask"
        )
    state, method = brain_method(study, key)[0], chosen_method(study, key, mask)
    orientation = options.get("orientation", study.orientation)
    return Scan(key, t1w, labels, mask, state, method, orientation)


def _beside(
    root: Path, t1w: Path, key: str, place: str, desc: str | None, suffix: str
) -> Path | None:
    folder = root / place / t1w.parent.relative_to(root)
    ending = f"desc-{desc}_{suffix}" if desc else suffix
    # With the T1w's other entities (acq-, rec- ...), as pipelines keep them, or without.
    own = re.sub(r"(_desc-[A-Za-z0-9+]+)?_T1w\..*$", "", t1w.name)
    for stem in (f"{key}_{ending}", f"{own}_{ending}"):
        for extension in _EXTENSIONS:
            if (folder / (stem + extension)).exists():
                return folder / (stem + extension)
    return None


def _require_found(root: Path, wanted: set[str] | None, found: set[str]) -> None:
    missing = sorted((wanted or set()) - found)
    if missing:
        problem = f"has no scan of {', '.join(missing)}, named under `subjects`"
        raise InputError(root, problem, "correct the list")


def _dicom_hint(root: Path) -> str:
    for _, _, names in os.walk(root):
        if any(name.lower().endswith((".dcm", ".ima")) for name in names):
            return "these are DICOM files: convert them with dcm2niix first"
    return "is this a BIDS dataset, and is inputs.t1w_desc right?"
