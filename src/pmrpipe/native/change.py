"""Two or more scans of one person as they come: what changed, where, and with which noise.

`pmrpipe change` and `change(scans, options, work)`: every later scan is compared with the first in
a half-way space of their own.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pmrpipe.base.errors import InputError
from pmrpipe.base.malloc import keep_freed_memory
from pmrpipe.base.outputs import is_one_of, require_folder
from pmrpipe.base.threads import limited_threads
from pmrpipe.images.volume import read_grid
from pmrpipe.native.alike import require_one
from pmrpipe.native.changed import PAGE, require_free
from pmrpipe.native.prepare import PreparedScan, prepare
from pmrpipe.native.request import Request, Say, Scan
from pmrpipe.native.result import generated_by
from pmrpipe.stages.change.compare import Marked, Visit, compare
from pmrpipe.stages.change.result import Changed, write_changed
from pmrpipe.study.labels import require_own_table
from pmrpipe.study.options.change import Change
from pmrpipe.study.options.two_scans import TwoScans


def change(
    scans: Sequence[Path],
    options: Change,
    work: TwoScans,
    output: Path | None = None,
    say: Say = lambda text: None,
) -> Changed:
    """Compare later scans with the first, and write the result to `output` if it is given.

    Raises
    ------
    InputError : fewer than two scans, one twice, two persons or contrasts by their names; labels
        or a lesion on another grid than the first scan's; an unusable scan; files in `output`
        that pmrpipe did not write
    WorkError : a step failed
    """
    _require_one_person(scans)
    if output is not None:
        require_folder(output)
    marked = _marked(scans[0], options)
    if output is not None and not work.overwrite:
        extra = [path for path in (options.labels, options.lesion) if path is not None]
        require_free(output, [*scans, *extra])
    keep_freed_memory()
    with tempfile.TemporaryDirectory(prefix="pmrpipe-change-") as space:
        work = work.model_copy(update={"cache": work.cache or Path(space)})
        state = "brain" if work.brain_extracted else "head"
        first, *others = (Scan(path, state) for path in scans)  # type: ignore[arg-type]
        with limited_threads(Request(first, first, None, work).threads):
            changed = _changed(first, others, marked, options, work, say)
    if output is not None:
        say(f"writing {output}")
        write_changed(changed, output, PAGE)
    return changed


def _changed(
    first: Scan, others: list[Scan], marked: Marked, options: Change, work: TwoScans, say: Say
) -> Changed:
    intervals = []
    table: list[dict[str, Any]] = []
    began = time.perf_counter()
    for number, other in enumerate(others, start=2):
        prepared = prepare(Request(first, other, None, work, flags=None), say)
        say(f"comparing {other.path.name} with {first.path.name}")
        before, after = (_visit(scan, n) for n, scan in zip((1, number), prepared, strict=True))
        interval, part = compare(before, after, marked, options, work.seed)
        intervals.append(interval)
        table += part
        say(f"scan {number}: brain {part[0]['percent']:+.2f} %")
    facts = {
        "GeneratedBy": generated_by(),
        "scans": [scan.path.name for scan in (first, *others)],
        "mm": work.mm,
        "finest_mm": options.finest_mm,
        "noise_repetitions": options.noise,
        "warnings": [doubt for interval in intervals for doubt in interval.doubts],
        "seconds": round(time.perf_counter() - began, 1),
    }
    return Changed(tuple(intervals), table, facts)


def _visit(scan: PreparedScan, number: int) -> Visit:
    return Visit(scan.name, f"scan-{number}", scan.scan, scan.preproc, scan.affine, scan.doubts)


def _marked(first: Path, options: Change) -> Marked:
    if options.label_table is not None and options.labels is None:
        raise InputError("--label-table", "names the labels of --labels", "give both, or none")
    place = (first, read_grid(first))
    marked = Marked.read(place, options.labels, options.label_table, options.lesion)
    if options.labels is not None and options.label_table is not None:
        assert marked.labels is not None
        numbers = np.unique(marked.labels.data).tolist()
        require_own_table(options.labels, numbers, marked.names or (), options.label_table)
    return marked


def _require_one_person(scans: Sequence[Path]) -> None:
    if len(scans) < 2:
        raise InputError(scans[0] if scans else "change", "is one scan alone", "give two or more")
    for number, path in enumerate(scans[1:], start=1):
        if is_one_of(path, scans[:number]):
            raise InputError(path, "is given twice", "give scans of different days")
        require_one("person", scans[0], path)
        require_one("contrast", scans[0], path)
