"""Index a BIDS dataset by listing its folders: no image is opened, nothing is written."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from pmrpipe.base.errors import InputError
from pmrpipe.stages.cohort.bids_names import (
    EXTENSIONS,
    SUBJECT,
    ScanName,
    by_key,
    image_name,
    is_nearly,
    of_run,
    scan_name,
    unwanted,
)
from pmrpipe.stages.cohort.listing import Listing, content_problem, covers, named, require_folder
from pmrpipe.stages.cohort.scans import Scan, brain_method, chosen_method, named_file, overrides_of
from pmrpipe.study.config import Study
from pmrpipe.study.keys import CONTRASTS, scan_and_contrast

_OWN_ENDING = re.compile(rf"(_desc-[A-Za-z0-9+]+)?_({'|'.join(CONTRASTS)})\..*$")


def index_bids(study: Study, *, complete: bool = False, further: bool = False) -> Listing:
    """All scans of the study's contrast below `root`, sorted by key; splits are not set yet.

    Parameters
    ----------
    complete : a scan without the labels or the mask that are asked for is a problem
    further : a contrast beside the study's own, which subjects and the whole dataset may lack

    Raises
    ------
    InputError : a folder is missing, holds no matching scan, or none of the labels or masks that
        the configuration asks for
    """
    root, wanted = study.input_root, study.subjects
    _require_folders(study, root)
    listing = Listing()
    for subject in _subject_folders(root, listing):
        if wanted is None or subject in wanted:
            _list_subject(study, subject, listing, complete)
    listing.scans.sort(key=lambda scan: scan.key)
    if further:
        return listing
    _require_subjects(study, listing)
    if not (listing.scans or listing.problems):
        desc = f"desc-{study.inputs.t1w_desc}_" if study.inputs.t1w_desc else ""
        name = f"sub-*_{desc}{study.inputs.contrast}.nii.gz"
        remedy = _hint(root, listing)
        raise InputError(root, f"holds no sub-*/[ses-*/]anat/{name}", remedy)
    _remark_absent(study, listing)
    return listing


def index_fmriprep(study: Study, *, further: bool = False) -> Listing:
    """The T1w scans of fMRIPrep's derivatives, with its brain masks and aseg labels.

    What `inputs` and `brain` say themselves has precedence.
    """
    usual = {"t1w_desc": "preproc", "labels_desc": "aseg", "masks_root": "."}
    own = {name: getattr(study.inputs, name) for name in study.inputs.model_fields_set}
    inputs = study.inputs.model_copy(update=usual | own)
    changed = study.model_copy(update={"inputs": inputs, "brain": study.brain or "mask"})
    return index_bids(changed, complete=not further, further=further)


# -- folders -----------------------------------------------------------------------------------
def _require_folders(study: Study, root: Path) -> None:
    if not root.is_dir():
        raise InputError(root, "no such folder", "give the dataset with --config root=FOLDER")
    for key in ("labels_root", "masks_root"):
        place = getattr(study.inputs, key)
        if place is not None:
            require_folder(f"inputs.{key}", root / place)


def _subject_folders(root: Path, listing: Listing) -> Iterator[str]:
    with os.scandir(root) as entries:
        folders = sorted((e.name, _is_folder(e), e.is_symlink()) for e in entries if _is_subject(e))
    for name, is_folder, is_link in folders:
        if not SUBJECT.fullmatch(name):
            listing.skipped[name] = "no subject's folder (sub-, then letters and digits)"
        elif not is_folder:
            listing.skipped[name] = "a link without content" if is_link else "a file, no folder"
        else:
            listing.subjects.add(name)
            yield name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False


def _is_subject(entry: os.DirEntry[str]) -> bool:
    """Whether a folder's name says, or nearly says, that it is a subject's; or what it holds."""
    if entry.name[:3].lower() == "sub":
        return _is_folder(entry) or SUBJECT.fullmatch(entry.name) is not None
    return not entry.name.startswith(".") and os.path.isdir(f"{entry.path}/anat")


def _list_subject(study: Study, subject: str, listing: Listing, complete: bool) -> None:
    """Add a subject's scans, problems, and what is skipped."""
    # Strings: joining paths of ten thousand subjects would take as long as all the rest.
    folder = f"{study.input_root}/{subject}"
    sessions = _sessions(study, folder, listing)
    names = _scan_files(study, f"{folder}/anat", subject, listing)
    for session in sessions:
        place, expected = f"{folder}/{session}/anat", f"{subject}_{session}"
        names += _scan_files(study, place, expected, listing)
    taken, others = of_run(names, study.inputs.run)
    for name in others:
        listing.skipped[_below(study, name.path)] = "not the run that inputs.run takes"
    first, problems = by_key(taken)
    listing.problems |= problems
    if not first and not any(covers(subject, key) for key in listing.problems):
        listing.skipped[subject] = f"without a {study.inputs.contrast} that is taken"
    for key, name in first.items():
        _add_scan(study, name, key, listing, complete)


def _sessions(study: Study, folder: str, listing: Listing) -> list[str]:
    """The session folders of a subject; scans that lie beside them are skipped."""
    sessions = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("ses-") and _is_folder(entry):
                sessions.append(entry.name)
            elif is_nearly(study.inputs.contrast, entry.name):
                listing.skipped[_below(study, entry.path)] = "outside anat/"
    return sorted(sessions)


def _scan_files(study: Study, anat: str, expected: str, listing: Listing) -> list[ScanName]:
    """The scans of one anat folder that the study takes; `expected`: sub-X[_ses-Y]."""
    taken, contrast = [], study.inputs.contrast
    for file, here in sorted(_files(anat).items()):
        name = scan_name(anat, file, here, contrast)
        if name is None:
            if is_nearly(contrast, file):
                below = _below(study, f"{anat}/{file}")
                listing.skipped[below] = f"not named sub-X[_ses-Y][_...]_{contrast}"
            continue
        reason = unwanted(name, study.inputs)
        if reason is not None:
            listing.skipped[_below(study, name.path)] = reason
        elif name.session != expected:
            listing.problems[expected] = _misplaced(name, expected)
        else:
            taken.append(name)
    return taken


def _files(folder: str | Path) -> dict[str, bool]:
    """The names in a folder, and whether each is a file whose content is here."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name: _is_file(entry) for entry in entries}
    except (FileNotFoundError, NotADirectoryError):
        return {}


def _misplaced(name: ScanName, expected: str) -> InputError:
    problem = f"lies in the folder of {expected} but is named as {name.session}"
    return InputError(name.path, problem, f"rename one of the two, or exclude {expected}")


def _below(study: Study, path: str | Path) -> str:
    return Path(path).relative_to(study.input_root).as_posix()


# -- one scan ----------------------------------------------------------------------------------
def _add_scan(study: Study, name: ScanName, key: str, listing: Listing, complete: bool) -> None:
    try:
        scan = _scan(study, name.path, key, complete)
    except InputError as error:
        listing.problems.setdefault(key, error)
        scan = Scan(key, name.path)
    problem = None if name.here else content_problem(name.path)
    if problem is not None:
        listing.problems.setdefault(key, problem)
    listing.scans.append(scan)


def _scan(study: Study, t1w: Path, key: str, complete: bool) -> Scan:
    options, inputs = overrides_of(study, key), study.inputs
    labels = mask = None
    if study.labels is not None:
        labels = named_file(study, options.get("labels")) or _beside(
            study, t1w, key, inputs.labels_root or ".", _ending(inputs.labels_desc, "dseg")
        )
        if complete and labels is None:
            ending = _ending(inputs.labels_desc, "dseg")
            raise InputError(t1w, f"has no {ending} beside it", "or set labels: null")
    if "mask" in options or inputs.masks_root is not None:
        mask = named_file(study, options.get("mask")) or _beside(
            study, t1w, key, inputs.masks_root or ".", _ending(inputs.masks_desc, "mask")
        )
    state, method = brain_method(study, key)[0], chosen_method(study, key, mask)
    orientation = options.get("orientation", study.orientation)
    return Scan(key, t1w, labels, mask, state, method, orientation)


def _ending(desc: str | None, suffix: str) -> str:
    return f"desc-{desc}_{suffix}" if desc else suffix


def _beside(study: Study, t1w: Path, key: str, place: str, ending: str) -> Path | None:
    """The label map or mask of a scan in another dataset of the same folders.

    Its name has the scan's other entities (acq-, rec- ...), as pipelines keep them, or not.

    Raises
    ------
    InputError : two files would do, or it is a link without content
    """
    root = str(study.input_root)
    folder = os.path.join(root, place, str(t1w.parent)[len(root) + 1 :])
    there = _files(folder)
    own = _OWN_ENDING.sub("", t1w.name)
    stems = dict.fromkeys((f"{scan_and_contrast(key)[0]}_{ending}", f"{own}_{ending}"))
    files = [s + e for s in stems for e in EXTENSIONS if s + e in there]
    if not files:
        return None
    images = {image_name(file): file for file in files} if len(files) > 1 else {}
    if len(images) > 1:
        both = " and ".join(images.values())
        remedy = "remove one, or name it under overrides"
        raise InputError(folder, f"{both} are both the {ending} of {key}", remedy)
    path = Path(os.path.join(folder, files[0]))
    problem = None if there[files[0]] else content_problem(path)
    if problem is not None:
        raise problem
    return path


# -- the whole dataset -------------------------------------------------------------------------
def _require_subjects(study: Study, listing: Listing) -> None:
    """InputError when a subject of `subjects` has no scan and is not excluded."""
    held = {key.split("_")[0] for key in [s.key for s in listing.scans] + [*listing.problems]}
    missing = sorted(set(study.subjects or ()) - held - set(study.exclude))
    if missing:
        problem = f"has no scan of {named(missing)}, named under `subjects`"
        raise InputError(study.input_root, problem, "correct the list")


def _remark_absent(study: Study, listing: Listing) -> None:
    """Scans without the label map or the mask that the study asks for; InputError when all are."""
    inputs = study.inputs
    usable = [scan for scan in listing.scans if scan.key not in listing.problems]
    if study.labels is not None:
        absent = [scan.key for scan in usable if scan.labels is None]
        _remark(listing, "labels", absent, len(usable), _ending(inputs.labels_desc, "dseg"))
    if inputs.masks_root is not None:
        absent = [scan.key for scan in usable if scan.mask is None]
        ending = _ending(inputs.masks_desc, "mask")
        _remark(listing, "inputs.masks_root", absent, len(usable), ending)


def _remark(listing: Listing, key: str, absent: list[str], count: int, ending: str) -> None:
    if absent and len(absent) == count:
        problem = f"is set, but no scan has a {ending} (looked for {absent[0]}_{ending}.nii.gz)"
        raise InputError(key, problem, "correct inputs, or set it to null")
    if absent:
        listing.remarks.append(f"{len(absent)} of {count} scans have no {ending}: {named(absent)}")


def _hint(root: Path, listing: Listing) -> str:
    if listing.skipped:
        name, reason = next(iter(listing.skipped.items()))
        return f"{len(listing.skipped)} skipped, such as {name} ({reason})"
    for _, _, names in os.walk(root):
        if any(name.lower().endswith((".dcm", ".ima")) for name in names):
            return "these are DICOM files: convert them with dcm2niix first"
    return "is this a BIDS dataset, and is inputs.t1w_desc right?"
