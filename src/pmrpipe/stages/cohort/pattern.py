"""Index a dataset that names its files its own way, by the patterns of the configuration."""

from __future__ import annotations

import re
from pathlib import Path

from pmrpipe.base.errors import InputError
from pmrpipe.stages.cohort.scans import Scan, brain_method, chosen_method, named_file, overrides_of
from pmrpipe.study.config import Layout, Study, subject_key
from pmrpipe.study.paths import KEY_PATTERN

# T1.mgz is normalised in intensity, nu.mgz only free of bias; fsaverage is no subject.
_FREESURFER = Layout(
    t1w=["{subject}/mri/T1.mgz", "{subject}/mri/nu.mgz"],
    labels=["aseg.mgz"],
    masks=["brainmask.mgz"],
    subject=r"(?!fsaverage)[A-Za-z0-9._-]+",
)
_HELP = "is the download whole, and nothing renamed? docs/datasets.md shows the folder"


def index_pattern(study: Study) -> list[Scan]:
    """All scans that match `layout.t1w`, sorted by key; splits are not set yet.

    Raises
    ------
    InputError : the folder or a file is missing, or two files are the T1w of one subject
    """
    root, layout = study.input_root, study.layout
    if not layout.t1w:
        raise InputError("layout.t1w", "is empty", "the reader `pattern` needs it")
    if not root.is_dir():
        raise InputError(root, "no such folder", "give the dataset with --config root=FOLDER")
    found: dict[str, tuple[str, Path]] = {}
    for pattern in layout.t1w:
        found = _matches(root, pattern, layout.subject) | found
    wanted = study.subjects
    missing = sorted(set(wanted or ()) - set(found))
    if missing or not found:
        shown = ", ".join(missing[:5]) + (" ..." if len(missing) > 5 else "")
        expected = f"{len(missing)} of {len(wanted or ())} subjects ({shown})" if missing else "all"
        problem = f"holds no {' or '.join(layout.t1w)} of {expected}"
        raise InputError(root, problem, _HELP)
    chosen = {key: found[key] for key in sorted(found) if wanted is None or key in wanted}
    return [_scan(study, key, name, path) for key, (name, path) in chosen.items()]


def index_freesurfer(study: Study) -> list[Scan]:
    """The subjects of a FreeSurfer SUBJECTS_DIR, with its brain masks and aseg labels.

    What `layout` says itself has precedence.
    """
    given = {name: getattr(study.layout, name) for name in study.layout.model_fields_set}
    return index_pattern(study.model_copy(update={"layout": _FREESURFER.model_copy(update=given)}))


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
    found: dict[str, tuple[str, Path]] = {}
    for path in sorted(root.glob(pattern.replace("{subject}", "*"))):
        match = re.fullmatch(expression, path.relative_to(root).as_posix())
        if match is None:
            continue
        name = match["subject"]
        key = name if re.fullmatch(KEY_PATTERN, name) else subject_key(name)
        if key in found:
            problem = f"and {found[key][1]} would both be the T1w of {key}"
            raise InputError(path, problem, "narrow layout.t1w or layout.subject")
        found[key] = (name, path)
    return found


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
    found = next((t1w.parent / n for n in names if (t1w.parent / n).exists()), None)
    if found is None:
        raise InputError(t1w.parent, f"lacks {' or '.join(names)}", _HELP)
    _whole(found)
    return found


def _whole(path: Path) -> None:
    """InputError where one half of an Analyze pair stands without the other."""
    other = {".hdr": ".img", ".img": ".hdr"}.get(path.suffix)
    if other and not path.with_suffix(other).exists():
        problem = f"no such file, but its {path.suffix} is there"
        raise InputError(path.with_suffix(other), problem, _HELP)
