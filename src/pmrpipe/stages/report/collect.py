"""What a report shows, gathered from result files alone; what is missing is left out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_json, read_tsv
from pmrpipe.metrics.summary import compare, summarise
from pmrpipe.metrics.tables import MethodScores, read_scores, regions_of
from pmrpipe.stages.report.references import BesideReference, beside_reference
from pmrpipe.study.paths import Results
from pmrpipe.study.timings import stage_costs


@dataclass(frozen=True)
class MethodInfo:
    """How a method is presented; `kind` is learned or classical."""

    name: str
    title: str = ""
    citation: str = ""
    kind: str = ""


@dataclass(frozen=True)
class MethodResult:
    """A method with what it left behind: tables, and for a learned one its training.

    uncertainty : moving, fixed, sd_mean_mm, sd_p95_mm of the scored pairs that have a map
    """

    info: MethodInfo
    scores: MethodScores
    history: pd.DataFrame | None = None
    model: dict[str, Any] | None = None
    uncertainty: pd.DataFrame | None = None

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def dice(self) -> np.ndarray:
        """Dice of each pair, (P,), NaN without labels."""
        return self.scores.by_pair["dice"].to_numpy(float)

    @property
    def seconds(self) -> np.ndarray:
        """Seconds of each timed pair, (P,)."""
        timing = self.scores.timing
        return np.zeros(0) if timing is None else timing["seconds"].to_numpy(float)

    @property
    def deforms(self) -> bool:
        """Whether the method has a deformable part: SDlogJ is 0 for the identity alone."""
        return bool((self.scores.by_pair["sdlogj"].astype(float) > 0).any())


@dataclass(frozen=True)
class Study:
    """Everything the page is made from."""

    results: Results
    methods: tuple[MethodResult, ...]
    absent: tuple[str, ...]
    summary: pd.DataFrame
    comparison: pd.DataFrame
    cohort: pd.DataFrame | None
    label_table: pd.DataFrame | None
    stages: pd.DataFrame
    equivariance: pd.DataFrame | None = None
    reference: BesideReference | None = None

    @property
    def labelled(self) -> bool:
        return any(np.isfinite(method.dice).any() for method in self.methods)

    @property
    def regions(self) -> list[str]:
        """Regions with a score, in the order of the tables."""
        names = [name for m in self.methods for name in regions_of(m.scores.by_pair)]
        return list(dict.fromkeys(names))

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Every scored pair (moving, fixed), sorted."""
        tables = [m.scores.by_pair[["moving", "fixed"]] for m in self.methods]
        return sorted({tuple(row) for table in tables for row in table.to_numpy().tolist()})


def collect(
    results: Results, methods: Sequence[MethodInfo], label_table: pd.DataFrame | None = None
) -> Study:
    """Read a study's tables; methods without scores are named in `absent`.

    Raises
    ------
    InputError : no method has a score, or a table is broken
    """
    scored = [info for info in methods if (results.score(info.name) / "by_pair.tsv").exists()]
    present = tuple(_method(results, info) for info in scored)
    if not any(len(method.scores.by_pair) for method in present):
        raise InputError(results.root / "score", "holds no score table", "score the pairs first")
    scores = {method.name: method.scores for method in present}
    beside = results.summary.with_name("comparison.tsv")
    return Study(
        results=results,
        methods=present,
        absent=tuple(info.name for info in methods if info not in scored),
        summary=_or(results.summary, lambda: summarise(scores)),
        comparison=_or(beside, lambda: compare(scores)),
        cohort=_or(results.cohort, lambda: None),
        label_table=label_table,
        stages=stage_costs(results.root / "timings"),
        equivariance=_equivariance(results),
        reference=beside_reference(results, list(scores)),
    )


def _equivariance(results: Results) -> pd.DataFrame | None:
    """One row for every method, pair and motion; None where nobody has measured it."""
    names = ("method", "motion", "amount", "group", "error_mm", "dice")
    path = results.equivariance
    return read_tsv(path, names) if path.exists() else None


def _method(results: Results, info: MethodInfo) -> MethodResult:
    folder = results.training(info.name)
    model, scores = folder / "model.json", read_scores(results.score(info.name))
    return MethodResult(
        info,
        scores,
        _or(folder / "history.tsv", lambda: None),
        read_json(model) if model.exists() else None,
        _uncertainty(results, info.name, scores.by_pair),
    )


def _uncertainty(results: Results, method: str, by_pair: pd.DataFrame) -> pd.DataFrame | None:
    """The lists of a method's jobs as one table; lists of pairs no longer in the study remain."""
    paths = sorted(results.uncertain(method, "any").parent.glob("*.tsv"))
    if not paths:
        return None
    names = ["moving", "fixed"]
    listed = pd.concat([read_tsv(path, (*names, "sd_mean_mm")) for path in paths])
    known = by_pair[names].merge(listed.drop_duplicates(names, keep="last"), on=names)
    return known if len(known) else None


def _or(path: Path, otherwise: Any) -> Any:
    return read_tsv(path) if path.exists() else otherwise()


def cohort_counts(cohort: pd.DataFrame | None) -> list[tuple[str, int, int, int]]:
    """(split, scans, subjects, with labels) of each split that has scans."""
    if cohort is None or "split" not in cohort:
        return []
    rows = []
    for split in ("train", "validation", "test"):
        part = cohort[cohort["split"] == split]
        if len(part):
            labels = int(part["labels"].notna().sum()) if "labels" in part else 0
            rows.append((split, len(part), part["subject"].nunique(), labels))
    return rows


def excluded_of(cohort: pd.DataFrame | None, exclusions: Iterable[Mapping[str, Any]]) -> list[dict]:
    """Scans left out, each {"key", "reason"}: those given and those of cohort.tsv."""
    rows = {str(item["key"]): str(item.get("reason") or "") for item in exclusions}
    if cohort is not None and "excluded" in cohort:
        for row in cohort[cohort["excluded"].notna()].itertuples():
            rows.setdefault(str(row.key), str(row.excluded))
    return [{"key": key, "reason": without_paths(reason)} for key, reason in sorted(rows.items())]


def without_paths(value: Any) -> Any:
    """`value` with every absolute path in its texts cut to its last part, containers included."""
    if isinstance(value, dict):
        return {key: without_paths(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_paths(item) for item in value]
    if isinstance(value, Path):
        return value.name
    if isinstance(value, str):
        return re.sub(r"(?<![\w:/.])(?:~|[A-Za-z]:)?[\\/](?:[^\s:;,'\"()]*[\\/])+", "", value)
    return value
