"""Index a study: which scans, in which split, and who is left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from pmrpipe.base.errors import InputError
from pmrpipe.stages.cohort.bids import index_bids, index_fmriprep
from pmrpipe.stages.cohort.contrasts import further_scans, led_through, paired
from pmrpipe.stages.cohort.listing import Listing, covers, require_named, skipped_sentences
from pmrpipe.stages.cohort.pattern import index_freesurfer, index_pattern
from pmrpipe.stages.cohort.scans import Cohort, Scan, brain_method, named_file, overrides_of
from pmrpipe.stages.cohort.splits import assign, require_known
from pmrpipe.study.config import Study
from pmrpipe.study.keys import T1W, pair_name, scan_key


def index(study: Study) -> Cohort:
    """List the scans of a study from folder names alone.

    Raises
    ------
    InputError : folder missing or empty; a name of the configuration that the dataset lacks; a
        scan that cannot be used and is not excluded; a subject in two splits
    """
    listing, more = _READERS[study.reader](study), further_scans(study, _FURTHER.get(study.reader))
    for key in ("exclude", "overrides"):
        require_named(key, getattr(study, key), listing)
    everything = replace(listing, scans=[*listing.scans, *more.scans])
    require_named("lesions", study.lesions, everything)
    excluded = {
        key: reason
        for key in [scan.key for scan in listing.scans] + sorted(listing.problems)
        for name, reason in study.exclude.items()
        if covers(name, key)
    }
    kept = [scan for scan in listing.scans if scan.key not in excluded]
    problems = {key: error for key, error in listing.problems.items() if key not in excluded}
    if not (kept or problems):
        raise InputError(study.input_root, "every scan is excluded", "shorten `exclude`")
    known = {scan.subject for scan in listing.scans}
    require_known(study.split, known, set(study.exclude), study.input_root)
    participants = study.input_root / "participants.tsv"
    scans = assign(kept, study.split, study.seed, participants)
    usable = [
        scan for scan in more.scans if not any(covers(name, scan.key) for name in study.exclude)
    ]
    tested, beside = _tested(study, usable, scans), _beside(study, usable, scans)
    idle = [scan for scan in usable if scan.key not in more.problems]
    led, helpers = led_through([*scans, *tested, *beside], idle, study)
    led, helpers = ([_with_lesion(study, scan) for scan in some] for some in (led, helpers))
    _require_usable(led, problems | _problems_of([*tested, *beside], more))
    names = {scan.key for scan in beside}
    return Cohort(
        tuple(sorted((s for s in led if s.key not in names), key=lambda scan: scan.key)),
        excluded,
        listing.skipped,
        tuple(listing.remarks),
        tuple(helpers),
        tuple(replace(scan, split=None) for scan in led if scan.key in names),
    )


def _tested(study: Study, more: Sequence[Scan], scans: Sequence[Scan]) -> list[Scan]:
    """Scans of further contrasts that pairs test."""
    test = {scan.subject for scan in scans if scan.split == "test"}
    return [
        replace(scan, split="test")
        for scan in more
        if scan.contrast in paired(study) and scan.subject in test
    ]


def _beside(study: Study, more: Sequence[Scan], scans: Sequence[Scan]) -> list[Scan]:
    """Scans of further contrasts beside those that train and validate, in the same split."""
    splits = {s.subject: s.split for s in scans if s.split in ("train", "validation")}
    return [
        replace(scan, split=splits[scan.subject])
        for scan in more
        if scan.contrast in study.inputs.also and scan.subject in splits
    ]


def _with_lesion(study: Study, scan: Scan) -> Scan:
    """The scan with the mask that the study names for this very one."""
    return replace(scan, lesion=named_file(study, study.lesions.get(scan.key), "lesions"))


def _problems_of(scans: Sequence[Scan], listing: Listing) -> dict[str, InputError]:
    keys = {scan.key for scan in scans}
    return {key: error for key, error in listing.problems.items() if key in keys}


def _require_usable(scans: Sequence[Scan], problems: Mapping[str, InputError]) -> None:
    """Raise the first problem of a scan that is in a split, or of whom nothing else is known."""
    idle = {scan.key for scan in scans if not scan.split}
    for key in sorted(problems):
        if key not in idle:
            error, others = problems[key], len(problems.keys() - idle) - 1
            more = f"; {others} more such" if others else ""
            remedy = f"{error.remedy}{more}" if error.remedy else f"exclude {key}{more}"
            raise InputError(error.subject, error.problem, remedy)


# What `overrides` says of scans that come from somewhere.
_NOT_OF_SIMULATED = {"mask", "labels", "orientation"}


def _embedded(study: Study) -> Listing:
    # Known before it is simulated, so that the workflow can plan the simulation itself.
    root, listing, contrast = study.input_root, Listing(), study.inputs.contrast
    if contrast not in (T1W, *study.embedded.contrasts):
        problem = f"the simulated subjects have no {contrast}"
        raise InputError("embedded.contrasts", problem, f"embedded: {{contrasts: [{contrast}]}}")
    for number in range(1, study.embedded.subjects + 1):
        key = f"sub-{number:02d}"
        listing.subjects.add(key)
        if study.subjects is None or key in study.subjects:
            for word in overrides_of(study, key).keys() & _NOT_OF_SIMULATED:
                problem = "is not for simulated heads, which have masks and labels of their own"
                raise InputError(f"overrides.{key}.{word}", problem, "leave it out")
            state, method = brain_method(study, key)
            labels = embedded_truth(root, key, "dseg.nii.gz") if study.labels else None
            image = root / key / "anat" / f"{key}_{contrast}.nii.gz"
            name = scan_key(key, contrast)
            listing.scans.append(Scan(name, image, labels, None, state, method, study.orientation))
    return listing


_READERS = {
    "embedded": _embedded,
    "bids": index_bids,
    "fmriprep": index_fmriprep,
    "freesurfer": index_freesurfer,
    "pattern": index_pattern,
}
# Readers that list further contrasts too.
_FURTHER: dict[str, Callable[[Study], Listing]] = {
    "embedded": _embedded,
    "bids": partial(index_bids, further=True),
    "fmriprep": partial(index_fmriprep, further=True),
}


def embedded_truth(root: Path, key: str, ending: str) -> Path:
    """A file of the simulated truth of one subject."""
    return root / "derivatives" / "truth" / key / "anat" / f"{key}_{ending}"


COHORT_COLUMNS = (
    *("key", "subject", "session", "t1w", "labels", "mask"),
    *("input_state", "brain", "split", "excluded", "skipped", "contrast", "through"),
)
PAIR_COLUMNS = ("moving", "fixed", "name")


def cohort_rows(cohort: Cohort) -> list[dict[str, str | None]]:
    """cohort.tsv: one row a scan, those left out and files skipped with their reason.

    Paths as names only, of skipped files (whose `key` is n/a) as below the dataset.
    """
    rows: list[dict[str, str | None]] = [
        {
            "key": scan.key,
            "subject": scan.subject,
            "session": scan.session,
            "t1w": scan.image.name,
            "labels": scan.labels.name if scan.labels else None,
            "mask": scan.mask.name if scan.mask else None,
            "input_state": scan.input_state,
            "brain": scan.brain,
            "split": scan.split,
            "contrast": scan.contrast,
            "through": scan.through,
        }
        for scan in (*cohort.scans, *cohort.helpers, *cohort.beside)
    ]
    rows += [
        {"key": k, "subject": k.split("_")[0], "excluded": r} for k, r in cohort.excluded.items()
    ]
    rows.sort(key=lambda row: str(row["key"]))
    return rows + [{"t1w": path, "skipped": why} for path, why in sorted(cohort.skipped.items())]


def remarks(cohort: Cohort) -> list[str]:
    """What whoever runs the study is told of its cohort: skipped files, scans that lack some."""
    return [*cohort.remarks, *skipped_sentences(cohort.skipped)]


def pair_rows(pairs: list[tuple[str, str]]) -> list[dict[str, str]]:
    """pairs.tsv: moving, fixed, name."""
    return [{"moving": m, "fixed": f, "name": pair_name(m, f)} for m, f in pairs]
