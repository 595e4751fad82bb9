"""The report page: one HTML file with everything inside, its figures and tables beside it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pmrpipe.base.files import write_text, write_tsv
from pmrpipe.drawing import html, pictures, style
from pmrpipe.metrics.reference import PERCENTILES, percentile_column
from pmrpipe.stages.report import collect, gallery, look_at, sentences, tables
from pmrpipe.study.paths import Results
from pmrpipe.study.regions import region_labels

log = logging.getLogger(__name__)
Progress = Callable[[str], None]
# Pictures that some methods alone have.
_KINDS = ("scale", "levels")
# Warnings of one kind that the page shows; its table has all.
_SHOWN = 50


def build_report(
    results: Results,
    out: Path,
    *,
    methods: Sequence[collect.MethodInfo],
    title: str,
    label_table: pd.DataFrame | None = None,
    config_summary: Mapping[str, Any] | None = None,
    citations: Mapping[str, str] | None = None,
    excluded: Iterable[Mapping[str, Any]] = (),
    versions: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    workers: int = 1,
) -> Path:
    """Build `out` (index.html), and beside it figures/ (SVG, PNG) and tables/ (TSV).

    Only result files are read; a cohort without labels, pictures or training gets a page with
    what there is. The bytes depend on the inputs alone: no time, no absolute path.

    Parameters
    ----------
    results : paths of the study
    methods : in the order in which they are shown
    label_table : index, name, region, scored; None = no contours
    config_summary : what was run, a name for each value
    citations : what was used besides the methods: name to reference
    excluded : scans left out, each with `key` and `reason`; those of cohort.tsv are added
    versions : software and its version
    progress : called with a line at each longer step
    workers : processes that draw the pairs

    Raises
    ------
    InputError : no score table, or one that cannot be read
    """
    say = progress or log.info
    say("reading tables")
    study = collect.collect(results, methods, label_table)
    folder = out.parent
    with style.drawing():
        say("drawing charts")
        drawn = gallery.draw_charts(study, folder / "figures")
        say("drawing pairs")
        cases = gallery.draw_cases(study, folder, say, workers)
    warned = look_at.warnings(study, folder)
    files = _write_tables(study, folder / "tables", warned)
    sources = sentences.references(study, citations or {})
    context = {
        "title": title,
        "study": study,
        "headline": sentences.headline(study),
        "columns": tables.summary_columns(study),
        "rows": tables.summary_cells(study),
        "intervals": bool(study.labelled and study.summary["dice_low"].notna().any()),
        "titles": [(m.name, m.info.title) for m in study.methods if m.info.title],
        "comparison": tables.comparison_rows(study),
        "compared": tables.compared_metrics(study),
        "few_subjects": _few_subjects(study),
        "charts": {chart.name: chart for chart in drawn},
        "cases": cases,
        "shown_kinds": _shown_kinds(cases),
        "panel_columns": max([len(c.panels) for shown in cases.values() for c in shown], default=0),
        "uncertain": any(method.uncertainty is not None for method in study.methods),
        "panels": pictures.PANELS,
        "legend": _region_legend(label_table),
        "labels": _label_rows(study),
        "beside": study.reference,
        "percentiles": [(f"{p:g}", percentile_column(p)) for p in PERCENTILES],
        "excluded": collect.excluded_of(study.cohort, excluded),
        "counts": collect.cohort_counts(study.cohort),
        "config": _plain(config_summary),
        "versions": _plain(versions),
        "sources": sentences.numbered(sources),
        "methods_text": sentences.methods_text(study, sources),
        "files": files,
        "warned": _by_kind(warned),
        "scans_qc": _qc_pages(study, folder),
        "map_stops": _map_stops(pictures.JACOBIAN_MAP),
        "uncertainty_stops": _map_stops(pictures.UNCERTAINTY_MAP),
        "css": _asset("page.css"),
        "js": _asset("page.js"),
    }
    say("writing the page")
    template = Path(__file__).parent / "page.html"
    write_text(out, html.render(template, {"number": tables.number}, **context))
    return out


def _asset(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _write_tables(study: collect.Study, folder: Path, warned: list[look_at.Warned]) -> list[str]:
    named = {
        "overview": tables.overview(study),
        "summary": study.summary,
        "comparison": study.comparison,
        "labels": tables.label_frame(study),
        "stages": study.stages,
        "look_at": look_at.table(warned),
    }
    named |= study.reference.tables() if study.reference else {}
    for name, table in named.items():
        if len(table):
            write_tsv(folder / f"{name}.tsv", table)
    return [f"tables/{name}.tsv" for name, table in named.items() if len(table)]


def _label_rows(study: collect.Study) -> dict[str, Any] | None:
    frame = tables.label_frame(study)
    if not len(frame):
        return None
    names = [name for name in frame.columns if name not in ("label", "name", "region")]
    return {"methods": names, "rows": frame.to_dict("records")}


def _shown_kinds(cases: Mapping[str, list[gallery.Case]]) -> set[str]:
    every = (case for shown in cases.values() for case in shown)
    return {kind for case in every for kind in _KINDS if getattr(case, kind)}


def _region_legend(label_table: pd.DataFrame | None) -> list[tuple[str, str]]:
    if label_table is None:
        return []
    names = enumerate(region_labels(label_table), start=1)
    return [(name, pictures.region_colour(number)) for number, name in names]


def _map_stops(name: str) -> list[str]:
    """Colours of a map from its lower to its upper end, for a legend."""
    import matplotlib
    from matplotlib.colors import to_hex

    shades = matplotlib.colormaps[name]
    return [to_hex(shades(n / 8)) for n in range(9)]


def _few_subjects(study: collect.Study) -> bool:
    return bool(study.comparison["significant"].isna().all()) if len(study.comparison) else False


def _by_kind(warned: list[look_at.Warned]) -> list[tuple[str, list[look_at.Warned], int]]:
    """Heading, the first warnings, and how many there are, of each kind that there is."""
    groups = [(title, [w for w in warned if w.kind == k]) for k, title in look_at.KINDS.items()]
    return [(title, group[:_SHOWN], len(group)) for title, group in groups if group]


def _qc_pages(study: collect.Study, folder: Path) -> list[tuple[str, str]]:
    """Quality pages of the scans in the pairs: scan, relative link."""
    root = study.results.root
    if folder.parent != root:
        return []
    keys = sorted({key for pair in study.pairs for key in pair})
    return [(key, f"../{key}.html") for key in keys if (root / f"{key}.html").exists()]


def _plain(values: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Names and values as text, without absolute paths."""
    cleaned = collect.without_paths(dict(values or {}))
    return [(str(name).replace("_", " "), _text(value)) for name, value in cleaned.items()]


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value) or "none"
    return "–" if value is None else str(value)
