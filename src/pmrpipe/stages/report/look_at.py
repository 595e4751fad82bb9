"""What a person should look at: every warning of a study, with a link to where it is seen."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pmrpipe.base.files import read_tsv
from pmrpipe.stages.report.collect import Study, without_paths
from pmrpipe.study.keys import pair_name

# What qc.tsv had before it said its reasons in sentences.
_OLDER = "outlier"
KINDS = {
    "scan": "Scans whose preprocessing is doubtful",
    "input": "Files that are no part of the study",
    "registration": "Registrations that are doubtful",
}


@dataclass(frozen=True)
class Warned:
    """One warning.

    kind : scan, input or registration
    name : scan, file, or method and pair
    reason : in sentences
    place : the page, or the table and its row (the first below the heading is 1)
    link : to that page or table, relative to the report; empty when there is none
    """

    kind: str
    name: str
    reason: str
    place: str
    link: str


def warnings(study: Study, folder: Path) -> list[Warned]:
    """Every warning of a study: doubtful scans, skipped inputs, doubtful registrations.

    Parameters
    ----------
    folder : of the report, from which links lead
    """
    return [*_scans(study, folder), *_inputs(study, folder), *_registrations(study, folder)]


def table(warned: list[Warned]) -> pd.DataFrame:
    """The warnings as a table: kind, name, reason, place."""
    rows = [(one.kind, one.name, one.reason, one.place) for one in warned]
    return pd.DataFrame(rows, columns=["kind", "name", "reason", "place"])


def _scans(study: Study, folder: Path) -> Iterator[Warned]:
    path = study.results.qc
    if not path.exists():
        return
    listed = read_tsv(path, ("key", _OLDER))
    column = "reasons" if "reasons" in listed else _OLDER
    for number, (key, reason) in enumerate(zip(listed["key"], listed[column], strict=True), 1):
        if pd.notna(reason):
            page = study.results.qc_page(key)
            seen = page if page.exists() else path
            place = page.name if page.exists() else f"qc.tsv, row {number}"
            yield Warned("scan", key, reason.replace("_", " "), place, _link(study, seen, folder))


def _inputs(study: Study, folder: Path) -> Iterator[Warned]:
    cohort = study.cohort
    if cohort is None or "skipped" not in cohort:
        return
    for number, row in enumerate(cohort.itertuples(), 1):
        if pd.notna(row.skipped):
            place, link = f"cohort.tsv, row {number}", _link(study, study.results.cohort, folder)
            yield Warned("input", str(row.t1w), without_paths(str(row.skipped)), place, link)


def _registrations(study: Study, folder: Path) -> Iterator[Warned]:
    for method in study.methods:
        path = study.results.score(method.name) / "by_pair.tsv"
        link, shown = _link(study, path, folder), path.relative_to(study.results.root)
        for number, row in enumerate(method.scores.by_pair.itertuples(), 1):
            if pd.notna(row.doubts):
                name = f"{method.name}: {pair_name(row.moving, row.fixed)}"
                yield Warned("registration", name, row.doubts, f"{shown}, row {number}", link)


def _link(study: Study, path: Path, folder: Path) -> str:
    """From the report to a file of the results; none from a report that lies elsewhere."""
    if folder.parent != study.results.root:
        return ""
    return Path(os.path.relpath(path, folder)).as_posix()
