"""Verbs of the stage score."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pmrpipe.cli.arguments import add, path_argument, read
from pmrpipe.cli.messages import follow_pairs, say_first


def add_score_pairs(parser: ArgumentParser) -> None:
    from pmrpipe.study.options.scoring import Scoring

    path_argument(parser, "results", help="result folder of the cohort")
    path_argument(parser, "pairs", help="list of registered pairs, TSV")
    path_argument(parser, "out", help="folder for by_label.tsv, by_pair.tsv and timing.tsv")
    add(parser, Scoring)


def run_score_pairs(given: Namespace) -> None:
    from pmrpipe.study.options.scoring import Scoring

    options = read(given, Scoring)
    from pmrpipe.stages.score.files import score_pairs
    from pmrpipe.study.paths import Results

    results = Results.of(given.results, options)
    score_pairs(results, given.pairs, given.out, options, follow_pairs)


def add_score(parser: ArgumentParser) -> None:
    path_argument(parser, "results", help="result folder of the cohort")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--method", help="gather this method's batches into its tables")
    what.add_argument("--summary", nargs="+", metavar="METHOD", help="summarise these methods")
    parser.add_argument("--batches", nargs="*", default=[], help="names of the batches")
    path_argument(parser, "--cohort", help="cohort.tsv, whose splits go into the tables' sidecars")


def run_score(given: Namespace) -> None:
    from pmrpipe.stages.score.gather import gather, write_summary
    from pmrpipe.study.paths import Results

    results = Results(given.results)
    if given.method:
        doubtful = gather(results, given.method, given.batches, given.cohort)
        say_first("warning", [f"{given.method} {line}" for line in doubtful])
    else:
        write_summary(results, given.summary)


def add_paper_table(parser: ArgumentParser) -> None:
    parser.add_argument("name", choices=["table1", "table2", "ablation"])
    path_argument(parser, "summary", help="summary.tsv of the study")
    parser.add_argument("--cohort", required=True, help="name of the study, for our rows")
    path_argument(parser, "out", help="the table to write, .tsv; .md and .tex beside it")


def run_paper_table(given: Namespace) -> None:
    from pmrpipe.stages.score.paper import table_from_files

    table_from_files(given.name, given.summary, given.out, given.cohort)
