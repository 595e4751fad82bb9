"""Index a study: which scans, in which split, and who is left out."""

from __future__ import annotations

from pathlib import Path

from pmrpipe.base.errors import InputError
from pmrpipe.stages.cohort.bids import index_bids, index_fmriprep
from pmrpipe.stages.cohort.pattern import index_freesurfer, index_pattern
from pmrpipe.stages.cohort.scans import Cohort, Scan, brain_method
from pmrpipe.stages.cohort.splits import assign, require_known
from pmrpipe.study.config import Study
from pmrpipe.study.paths import pair_name


def index(study: Study) -> Cohort:
    """List the scans of a study from folder names alone.

    Raises
    ------
    InputError : folder missing or empty; a subject in two splits or unknown
    """
    found = _READERS[study.reader](study)
    excluded = {
        scan.key: reason
        for scan in found
        for name, reason in study.exclude.items()
        if name in (scan.key, scan.subject)
    }
    kept = [scan for scan in found if scan.key not in excluded]
    if not kept:
        raise InputError(study.input_root, "every scan is excluded", "shorten `exclude`")
    known = {scan.subject for scan in found}
    require_known(study.split, known, set(study.exclude), study.input_root)
    participants = study.input_root / "participants.tsv"
    return Cohort(tuple(assign(kept, study.split, study.seed, participants)), excluded)


def _embedded(study: Study) -> list[Scan]:
    # Known before it is simulated, so that the workflow can plan the simulation itself.
    root, scans = study.input_root, []
    for number in range(1, study.embedded.subjects + 1):
        key = f"sub-{number:02d}"
        if study.subjects is None or key in study.subjects:
            state, method = brain_method(study, key)
            labels = embedded_truth(root, key, "dseg.nii.gz") if study.labels else None
            t1w = root / key / "anat" / f"{key}_T1w.nii.gz"
            scans.append(Scan(key, t1w, labels, None, state, method, study.orientation))
    return scans


_READERS = {
    "embedded": _embedded,
    "bids": index_bids,
    "fmriprep": index_fmriprep,
    "freesurfer": index_freesurfer,
    "pattern": index_pattern,
}


def embedded_truth(root: Path, key: str, ending: str) -> Path:
    """A file of the simulated truth of one subject."""
    return root / "derivatives" / "truth" / key / "anat" / f"{key}_{ending}"


COHORT_COLUMNS = (
    *("key", "subject", "session", "t1w", "labels", "mask"),
    *("input_state", "brain", "split", "excluded"),
)
PAIR_COLUMNS = ("moving", "fixed", "name")


def cohort_rows(cohort: Cohort) -> list[dict[str, str | None]]:
    """cohort.tsv: one row a scan, left-out ones with their reason; paths as names only."""
    rows: list[dict[str, str | None]] = [
        {
            "key": scan.key,
            "subject": scan.subject,
            "session": scan.session,
            "t1w": scan.t1w.name,
            "labels": scan.labels.name if scan.labels else None,
            "mask": scan.mask.name if scan.mask else None,
            "input_state": scan.input_state,
            "brain": scan.brain,
            "split": scan.split,
        }
        for scan in cohort.scans
    ]
    rows += [
        {"key": k, "subject": k.split("_")[0], "excluded": r} for k, r in cohort.excluded.items()
    ]
    return sorted(rows, key=lambda row: str(row["key"]))


def pair_rows(pairs: list[tuple[str, str]]) -> list[dict[str, str]]:
    """pairs.tsv: moving, fixed, name."""
    return [{"moving": m, "fixed": f, "name": pair_name(m, f)} for m, f in pairs]
