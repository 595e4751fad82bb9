"""Scans of further contrasts than the study's own, and the T1w that they go through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from pmrpipe.base.errors import InputError
from pmrpipe.stages.cohort.listing import Listing
from pmrpipe.stages.cohort.scans import Scan
from pmrpipe.study.config import Study
from pmrpipe.study.config.cohort import Override
from pmrpipe.study.keys import T1W, scan_and_contrast

Index = Callable[[Study], Listing]


def paired(study: Study) -> tuple[str, str]:
    """Contrasts of the moving and of the fixed scans of a study's pairs."""
    own, pairs = study.inputs.contrast, study.pairs
    return pairs.moving or own, pairs.fixed or own


def further_contrasts(study: Study) -> list[str]:
    """Contrasts that are listed beside the study's own, and T1w to go through.

    Those of its pairs, and those that are packed beside what trains.
    """
    wanted = {*paired(study), *study.inputs.also}
    if study.inputs.through_t1w and wanted | {study.inputs.contrast} != {T1W}:
        wanted.add(T1W)
    return sorted(wanted - {study.inputs.contrast})


def further_scans(study: Study, index: Index | None) -> Listing:
    """The scans of the contrasts beside the study's own, in no split.

    Parameters
    ----------
    index : lists the scans of one contrast; None where the study's reader knows T1w alone

    Raises
    ------
    InputError : a contrast is asked for that the dataset or the reader does not hold
    """
    listing = Listing()
    for contrast in further_contrasts(study):
        key = _asking(study, contrast)
        if index is None:
            if key:
                problem = f"reader {study.reader} knows no {contrast}"
                raise InputError(key, problem, "take reader bids")
            continue
        inputs = study.inputs.model_copy(update={"contrast": contrast})
        more = index(study.model_copy(update={"inputs": inputs}))
        if key and not more.scans:
            problem = f"holds no {contrast}, which {key} asks for"
            names = {"pairs": "pairs.moving and pairs.fixed"}
            raise InputError(study.input_root, problem, f"correct {names.get(key, key)}")
        listing.scans += more.scans
        if key:
            listing.problems |= more.problems
    return listing


def _asking(study: Study, contrast: str) -> str | None:
    """Which key of the study asks for a contrast; None for a T1w that only helps."""
    if contrast in paired(study):
        return "pairs"
    return "inputs.also" if contrast in study.inputs.also else None


def led_through(
    scans: Sequence[Scan], candidates: Iterable[Scan], study: Study
) -> tuple[list[Scan], list[Scan]]:
    """Each scan of another contrast with the T1w of its session, and the T1w that only help.

    Mask, extraction and labels are the T1w's, unless `overrides` names this very scan: what lies
    beside a session's scans is on the grid of its T1w.
    """
    if not study.inputs.through_t1w:
        return list(scans), []
    own = {scan.key: scan for scan in scans if scan.contrast == T1W}
    known = {scan.key: scan for scan in candidates if scan.contrast == T1W} | own
    led = [_led(scan, known, study) for scan in scans]
    used = {scan.through for scan in led} - {None} - own.keys()
    return led, [replace(known[str(key)], split=None) for key in sorted(map(str, used))]


def _led(scan: Scan, known: dict[str, Scan], study: Study) -> Scan:
    through = None if scan.contrast == T1W else _of_session(scan, known)
    if through is None:
        return scan
    own = study.overrides.get(scan.key, Override())
    kept = own.brain is not None or own.mask is not None
    return replace(
        scan,
        through=through,
        brain=scan.brain if kept else "session",
        mask=scan.mask if kept else None,
        labels=scan.labels if own.labels is not None else known[through].labels,
    )


def _of_session(scan: Scan, known: dict[str, Scan]) -> str | None:
    """The T1w of the same run, else the first of the same session."""
    name = scan_and_contrast(scan.key)[0]
    if name in known:
        return name
    place = (scan.subject, scan.session)
    others = sorted(key for key, t1w in known.items() if (t1w.subject, t1w.session) == place)
    return others[0] if others else None
