"""Change of one person of a study since the first session, and the table of all persons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pmrpipe.base.files import read_tsv, write_tsv
from pmrpipe.base.malloc import keep_freed_memory
from pmrpipe.base.threads import limited_threads
from pmrpipe.images.transforms import read_affine
from pmrpipe.images.volume import read_image
from pmrpipe.stages.change.compare import Marked, Visit, compare
from pmrpipe.stages.change.result import TABLE, Changed, write_changed
from pmrpipe.study.keys import session_of, subject_of
from pmrpipe.study.options.change import Comparing
from pmrpipe.study.paths import Results

PAGE = "page.html"
COLUMNS = (
    *("subject", "session_first", "session_second", "label", "name"),
    *("volume_first", "volume_second", "percent", "noise_percent", "scan"),
)


def run(results: Results, options: Comparing) -> None:
    """Compare every later session with the first, and write the person's folder.

    Raises
    ------
    InputError : labels or a lesion on another grid than the first scan's
    """
    keep_freed_memory()
    (key, path), *later = options.scans.items()
    first = _visit(results, options, key)
    how = options.orientations.get(key)
    place = (path, first.scan.grid)
    marked = Marked.read(place, options.labels, options.table, options.lesion, how)
    intervals, table = [], []
    with limited_threads(options.threads):
        for other, _ in later:
            second = _visit(results, options, other)
            interval, rows = compare(first, second, marked, options, options.seed)
            intervals.append(interval)
            table += rows
    subject = subject_of(key)
    changed = Changed(tuple(intervals), table, _facts(options))
    write_changed(changed, results.changed(subject, TABLE).parent, PAGE, f"{subject}_")


def _visit(results: Results, options: Comparing, key: str) -> Visit:
    scan = read_image(options.scans[key], options.orientations.get(key))
    brain, affine = read_image(results.preproc(key)), read_affine(results.affine(key))
    return Visit(key, str(session_of(key)), scan, brain, affine)


def _facts(options: Comparing) -> dict[str, Any]:
    first = next(iter(options.scans))
    without = f"{first} has no labels: the brain is measured as a whole"
    return {
        "scans": list(options.scans),
        "labels": None if options.labels is None else options.labels.name,
        "lesion": None if options.lesion is None else options.lesion.name,
        "mm": options.mm,
        "finest_mm": options.finest_mm,
        "noise_repetitions": options.noise,
        "warnings": [without] if options.labels is None else [],
    }


def gather(results: Results, firsts: Sequence[str]) -> None:
    """change/change.tsv of all persons.

    Parameters
    ----------
    firsts : key of each person's first scan
    """
    import pandas as pd

    tables = [_told(results.changed(subject_of(key), TABLE), key) for key in firsts]
    write_tsv(results.changes, pd.concat(tables, ignore_index=True)[list(COLUMNS)])


def _told(path: Path, first: str) -> Any:
    table = read_tsv(path, ("scan", "label"))
    said: Mapping[str, Any] = {
        "subject": subject_of(first),
        "session_first": session_of(first),
        "session_second": [session_of(key) for key in table["scan"]],
    }
    return table.assign(**said)
