"""Index a dataset that names its files its own way, by the patterns of the configuration."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from pmrpipe.base.errors import InputError
from pmrpipe.stages.cohort.listing import Listing, content_problem
from pmrpipe.stages.cohort.scans import Scan, brain_method, chosen_method, named_file, overrides_of
from pmrpipe.study.config import Layout, Study, subject_key
from pmrpipe.study.keys import KEY_PATTERN

# T1.mgz is normalised in intensity, nu.mgz only free of bias; fsaverage is no subject.
_FREESURFER = Layout(
    t1w=["{subject}/mri/T1.mgz", "{subject}/mri/nu.mgz"],
    labels=["aseg.mgz"],
    masks=["brainmask.mgz"],
    subject=r"(?!fsaverage)[A-Za-z0-9._-]+",
)
_HELP = "is the download whole, and nothing renamed? docs/datasets.md shows the folder"


def index_pattern(study: Study) -> Listing:
    """All scans that match `layout.t1w`, sorted by key; splits are not set yet.

    Raises
    ------
    InputError : the folder is missing, no file or not that of every wanted subject is there, or
        two files are the T1w of one subject
    """
    root, layout = study.input_root, study.layout
    if not layout.t1w:
        raise InputError("layout.t1w", "is empty", "the reader `pattern` needs it")
    if not root.is_dir():
        raise InputError(root, "no such folder", "give the dataset with --config root=FOLDER")
    files: dict[str, tuple[str, Path]] = {}
    for pattern in layout.t1w:
        files = _matches(root, pattern, layout.subject) | files
    _require_all(study, files)
    listing = Listing(subjects={key.split("_")[0] for key in files})
    for key in sorted(files):
        if study.subjects is None or key in study.subjects:
            _add_scan(study, key, *files[key], listing)
    return listing


def _require_all(study: Study, files: Mapping[str, object]) -> None:
    """InputError when a wanted subject has no file and is not excluded, or none has one."""
    wanted = study.subjects
    missing = sorted(set(wanted or ()) - set(files) - set(study.exclude))
    if missing or not files:
        shown = ", ".join(missing[:5]) + (" ..." if len(missing) > 5 else "")
        expected = f"{len(missing)} of {len(wanted or ())} subjects ({shown})" if missing else "all"
        problem = f"holds no {' or '.join(study.layout.t1w)} of {expected}"
        raise InputError(study.input_root, problem, _HELP)


def _add_scan(study: Study, key: str, name: str, t1w: Path, listing: Listing) -> None:
    try:
        listing.scans.append(_scan(study, key, name, t1w))
    except InputError as error:
        listing.problems[key] = error
        listing.scans.append(Scan(key, t1w))


def index_freesurfer(study: Study) -> Listing:
    """The subjects of a FreeSurfer SUBJECTS_DIR, with its brain masks and aseg labels.

    What `layout` says itself has precedence.
    """
    own = {name: getattr(study.layout, name) for name in study.layout.model_fields_set}
    return index_pattern(study.model_copy(update={"layout": _FREESURFER.model_copy(update=own)}))


def _matches(root: Path, pattern: str, subject: str) -> dict[str, tuple[str, Path]]:
    """By key, the subject's name in the dataset and the file that a pattern fits."""
    parts = re.split(r"(\{subject\}|\*)", pattern)
    expression, seen = "", False
    for part in parts:
        if part == "{subject}":
            expression += "(?P=subject)" if seen else f"(?P<subject>{subject})"
            seen = True
        else:
            expression += "[^/]*" if part == "*" else re.escape(part)
    files: dict[str, tuple[str, Path]] = {}
    for path in sorted(root.glob(pattern.replace("{subject}", "*"))):
        match = re.fullmatch(expression, path.relative_to(root).as_posix())
        if match is None:
            continue
        name = match["subject"]
        key = name if re.fullmatch(KEY_PATTERN, name) else subject_key(name)
        if key in files:
            problem = f"and {files[key][1]} would both be the T1w of {key}"
            raise InputError(path, problem, "narrow layout.t1w or layout.subject")
        files[key] = (name, path)
    return files


def _scan(study: Study, key: str, name: str, t1w: Path) -> Scan:
    _whole(t1w)
    options, layout = overrides_of(study, key), study.layout
    labels = mask = None
    if study.labels is not None:
        labels = named_file(study, options.get("labels")) or _beside(t1w, name, layout.labels)
    if options.get("brain", study.brain) in (None, "mask"):
        mask = named_file(study, options.get("mask")) or _beside(t1w, name, layout.masks)
    state, method = brain_method(study, key)[0], chosen_method(study, key, mask)
    return Scan(
        key, t1w, labels, mask, state, method, options.get("orientation", study.orientation)
    )


def _beside(t1w: Path, name: str, patterns: list[str]) -> Path | None:
    """The first file of these names in the T1w's folder; InputError when none is there."""
    names = [pattern.replace("{subject}", name) for pattern in patterns]
    if not names:
        return None
    path = next((t1w.parent / n for n in names if os.path.lexists(t1w.parent / n)), None)
    if path is None:
        raise InputError(t1w.parent, f"lacks {' or '.join(names)}", _HELP)
    _whole(path)
    return path


def _whole(path: Path) -> None:
    """InputError for a link without content, and one half of an Analyze pair without the other."""
    absent = content_problem(path)
    if absent is not None:
        raise absent
    other = {".hdr": ".img", ".img": ".hdr"}.get(path.suffix)
    if other and not path.with_suffix(other).exists():
        problem = f"no such file, but its {path.suffix} is there"
        raise InputError(path.with_suffix(other), problem, _HELP)
