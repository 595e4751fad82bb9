"""Methods beside their reference, as the page shows them: tables of the study, and charts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from pmrpipe.base.files import read_tsv
from pmrpipe.drawing import references
from pmrpipe.drawing.style import Look
from pmrpipe.metrics.reference import PERCENTILES, percentile_column
from pmrpipe.study.paths import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Looks = Mapping[str, Look]
_NEEDED = {
    "errors": ("method", "reference", "kind", "pairs", *map(percentile_column, PERCENTILES)),
    "jacobians": ("method", "reference", "kind", "quantity", "low", "high", "percent"),
    "overlap": ("method", "moving", "fixed", "target_overlap"),
    "overlap_summary": ("method", "source", "pairs", "mean", "sd", "median", "reference"),
    "times": ("method", "device", "threads", "pairs", "seconds_median", "share_percent"),
}


@dataclass(frozen=True)
class BesideReference:
    """The tables of `score/beside_reference`; rows of methods that are shown alone.

    devices : method, device, number, pairs, seconds_median
    """

    errors: pd.DataFrame
    jacobians: pd.DataFrame
    overlap: pd.DataFrame
    overlap_summary: pd.DataFrame
    times: pd.DataFrame
    devices: pd.DataFrame

    def tables(self) -> dict[str, pd.DataFrame]:
        """Those that lie beside the page, by name."""
        names = ("errors", "jacobians", "overlap", "overlap_summary", "times")
        return {f"reference_{name}": getattr(self, name) for name in names}

    def error_rows(self) -> list[dict[str, Any]]:
        """Rows of the page's table of distances."""
        return [{str(k): v for k, v in row.items()} for row in self.errors.to_dict("records")]

    def overlap_rows(self) -> list[dict[str, Any]]:
        """Rows of the page's table of overlap."""
        rows = self.overlap_summary.to_dict("records")
        return [{str(k): v for k, v in row.items()} for row in rows]


def beside_reference(results: Results, methods: Sequence[str]) -> BesideReference | None:
    """Read the tables; None where no shown method stands beside a shown reference.

    Raises
    ------
    InputError : a table lacks a column
    """
    folder = results.beside_reference
    if not all((folder / f"{name}.tsv").exists() for name in _NEEDED):
        return None
    read = {name: read_tsv(folder / f"{name}.tsv", columns) for name, columns in _NEEDED.items()}
    for name in ("errors", "jacobians"):
        table = read[name]
        read[name] = table[table["method"].isin(methods) & table["reference"].isin(methods)]
    if not len(read["errors"]):
        return None
    ours = read["overlap_summary"]["source"] == "pmrpipe"
    known = read["overlap_summary"]["method"].isin(methods)
    read["overlap_summary"] = read["overlap_summary"][known | ~ours]
    for name in ("overlap", "times"):
        read[name] = read[name][read[name]["method"].isin(methods)]
    measured = _measured(results, methods)
    return BesideReference(**read, devices=_devices(read["times"], measured))


def _measured(results: Results, methods: Sequence[str]) -> pd.DataFrame | None:
    """Times on several devices, where `benchmarks/devices.py` has measured them."""
    path = results.devices
    if not path.exists():
        return None
    table = read_tsv(path, ("method", "device", "number", "pairs", "seconds_median"))
    return table[table["method"].isin(methods)]


def _devices(times: pd.DataFrame, measured: pd.DataFrame | None) -> pd.DataFrame:
    """The study's own times: threads of a processor, or one GPU; with them what was measured."""
    own = times.dropna(subset=["device"]).copy()
    own["number"] = own["threads"].where(own["device"] == "cpu", 1).fillna(1).astype(int)
    names = ["method", "device", "number", "pairs", "seconds_median"]
    tables = [own[names]] if measured is None or not len(measured) else [own[names], measured]
    return pd.concat(tables, ignore_index=True)[names]


def _of(
    part: str, draw: Callable[[pd.DataFrame, Looks], Figure | None]
) -> Callable[..., Figure | None]:
    def drawn(study: Any, looks: Looks) -> Figure | None:
        return None if study.reference is None else draw(getattr(study.reference, part), looks)

    return drawn


overlap_boxes = _of("overlap", references.overlap_boxes)
error_boxes = _of("errors", references.error_boxes)
volume_histograms = _of("jacobians", references.volume_histograms)
device_times = _of("devices", references.device_times)
