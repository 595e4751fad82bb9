"""Verbs `score-pairs` and `score`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from pmrpipe.cli.messages import follow, path_argument

if TYPE_CHECKING:
    import pandas as pd

    from pmrpipe.study.paths import Results


def add_score_pairs(parser: ArgumentParser) -> None:
    path_argument(parser, "results", help="result folder of the cohort")
    path_argument(parser, "pairs", help="list of registered pairs, TSV")
    path_argument(parser, "out", help="folder for by_label.tsv, by_pair.tsv and timing.tsv")
    parser.add_argument("--method", required=True, help="name of the method's folder")
    parser.add_argument("--mm", type=float, default=1.0, help="voxel size of the template grid")
    parser.add_argument("--table", help="label table; none for a cohort without labels")
    parser.add_argument("--interpolation", default="nearest", help="how the labels were warped")
    parser.add_argument(
        "--discard-fields", action="store_true", help="remove the fields, and PAIRS, once scored"
    )


def run_score_pairs(options: Namespace) -> None:
    from pmrpipe.base.files import read_tsv
    from pmrpipe.metrics.sidecar import sidecar
    from pmrpipe.metrics.tables import (
        MethodScores,
        by_label_table,
        by_pair_table,
        timing_table,
        write_scores,
    )  # fmt: skip
    from pmrpipe.study.labels import read_label_table
    from pmrpipe.study.paths import Results
    from pmrpipe.study.regions import region_labels
    from pmrpipe.study.space import template_grid

    results = Results(options.results, options.mm)
    table = read_label_table(options.table) if options.table else None
    listed = read_tsv(options.pairs, required=("moving", "fixed", "inverse_consistency_mm"))
    pairs = list(zip(listed["moving"], listed["fixed"], strict=True))
    deforms = _deforms(listed, options.method)
    by_label: list[dict[str, Any]] = []
    by_pair: list[dict[str, Any]] = []
    shown = follow(pairs, len(pairs), lambda pair: "{} to {}".format(*pair))
    for (moving, fixed), error in zip(shown, listed["inverse_consistency_mm"], strict=True):
        labels, pair = _score(
            results, options.method, moving, fixed, table, options.interpolation, deforms
        )
        by_label += labels
        by_pair.append(pair | {"inverse_consistency_mm": error})
    scores = MethodScores(
        by_label_table(by_label),
        by_pair_table(by_pair, region_labels(table) if table is not None else ()),
        timing_table(listed.to_dict("records")),
        sidecar(table, template_grid(options.mm), interpolation=options.interpolation),
    )
    write_scores(options.out, scores)
    if options.discard_fields:
        # The list first: pairs without fields must not count as registered.
        options.pairs.unlink()
        for pair in pairs:
            results.field(options.method, *pair).unlink(missing_ok=True)


def _deforms(listed: pd.DataFrame, method: str) -> bool:
    """Whether the method leaves fields; lists of an earlier version do not say it."""
    if "deforms" in listed:
        return bool(listed["deforms"].all())
    from pmrpipe.methods.spec import names, spec

    return method not in names() or spec(method).deforms


def _score(
    results: Results,
    method: str,
    moving: str,
    fixed: str,
    table: pd.DataFrame | None,
    interpolation: str,
    deforms: bool,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    from pmrpipe.images.resampling import sample_displacement
    from pmrpipe.images.transforms import read_field
    from pmrpipe.images.volume import read_image, read_labels
    from pmrpipe.stages.score.pair import score_pair

    image = read_image(results.preproc(fixed))
    field = None
    # A field that is missing must not pass for the identity.
    if deforms:
        path = results.field(method, moving, fixed)
        field = sample_displacement(read_field(path), image.grid)
    fixed_dseg, warped_dseg = results.dseg(fixed), results.warped_dseg(method, moving, fixed)
    labelled = fixed_dseg.exists() and warped_dseg.exists()
    return score_pair(
        read_labels(fixed_dseg) if labelled else None,
        read_labels(warped_dseg).data if labelled else None,
        image.data > 0,
        image,
        read_image(results.warped(method, moving, fixed)).data,
        field,
        table,
        moving=moving,
        fixed=fixed,
        interpolation=interpolation,
    )


def add_score(parser: ArgumentParser) -> None:
    path_argument(parser, "results", help="result folder of the cohort")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--method", help="gather this method's batches into its tables")
    what.add_argument("--summary", nargs="+", metavar="METHOD", help="summarise these methods")
    parser.add_argument("--batches", nargs="*", default=[], help="names of the batches")
    parser.add_argument("--cohort", help="cohort.tsv, whose splits go into the tables' sidecars")


def run_score(options: Namespace) -> None:
    from pmrpipe.base.files import write_tsv
    from pmrpipe.metrics.summary import compare, over_seeds, summarise
    from pmrpipe.metrics.tables import concatenate, read_scores, write_scores
    from pmrpipe.study.paths import SEED_MARK, Results

    results = Results(options.results)
    if options.method:
        parts = [read_scores(results.scored(options.method, name)) for name in options.batches]
        scores = concatenate(parts)
        if options.cohort and scores.sidecar:
            scores.sidecar["split"] = _split(options.cohort)
        write_scores(results.score(options.method), scores)
        return
    scores = {name: read_scores(results.score(name)) for name in options.summary}
    summary = summarise(scores)
    write_tsv(results.summary.with_name("comparison.tsv"), compare(scores))
    if any(SEED_MARK in name for name in scores):
        write_tsv(results.summary.with_name("seeds.tsv"), over_seeds(summary))
    write_tsv(results.summary, summary)


def _split(path: str) -> dict[str, list[str]]:
    """Subjects of each split, from cohort.tsv."""
    from pmrpipe.base.files import read_tsv

    scans = read_tsv(path, required=("subject", "split"))
    return {
        role: sorted(set(scans.loc[scans["split"] == role, "subject"]))
        for role in ("train", "validation", "test")
        if (scans["split"] == role).any()
    }


def add_paper_table(parser: ArgumentParser) -> None:
    parser.add_argument("name", choices=["table1", "table2", "ablation"])
    path_argument(parser, "summary", help="summary.tsv of the study")
    parser.add_argument("--cohort", required=True, help="name of the study, for our rows")
    path_argument(parser, "out", help="the table to write, .tsv; .md and .tex beside it")


def run_paper_table(options: Namespace) -> None:
    from pmrpipe.base.files import read_tsv
    from pmrpipe.metrics.tables import SUMMARY
    from pmrpipe.stages.score.paper import TABLES, paper_table, write_paper_table

    table = paper_table(options.name, read_tsv(options.summary, SUMMARY), options.cohort)
    write_paper_table(options.out.with_suffix(""), table, TABLES[options.name].title)
