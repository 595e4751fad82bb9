"""Verbs of the stage score."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import get_args

from pmrpipe.cli.arguments import add, path_argument, read
from pmrpipe.cli.messages import follow_pairs, say_first


def add_score_pairs(parser: ArgumentParser) -> None:
    from pmrpipe.study.options.scoring import Scoring

    path_argument(parser, "results", help="result folder of the cohort")
    path_argument(parser, "pairs", help="list of registered pairs, TSV")
    path_argument(parser, "out", help="folder for by_label.tsv, by_pair.tsv and timing.tsv")
    add(parser, Scoring)


def run_score_pairs(arguments: Namespace) -> None:
    from pmrpipe.study.options.scoring import Scoring

    options = read(arguments, Scoring)
    from pmrpipe.stages.score.files import score_pairs
    from pmrpipe.study.paths import Results

    results = Results.of(arguments.results, options)
    score_pairs(results, arguments.pairs, arguments.out, options, follow_pairs)


def add_score(parser: ArgumentParser) -> None:
    from pmrpipe.study.options.scoring import Gathering

    path_argument(parser, "results", help="result folder of the cohort")
    add(parser, Gathering, either=("method", "summary"))


def run_score(arguments: Namespace) -> None:
    from pmrpipe.study.options.scoring import Gathering

    options = read(arguments, Gathering)
    from pmrpipe.stages.score.gather import gather, write_summary
    from pmrpipe.study.paths import Results

    results = Results(arguments.results)
    if options.method:
        doubtful = gather(results, options.method, options.batches, options.cohort)
        say_first("warning", [f"{options.method} {line}" for line in doubtful])
    else:
        write_summary(results, options.summary)


def add_paper_table(parser: ArgumentParser) -> None:
    from pmrpipe.study.options.scoring import PaperName, PaperTable

    parser.add_argument("name", choices=get_args(PaperName))
    path_argument(parser, "summary", help="summary.tsv of the study")
    add(parser, PaperTable)
    path_argument(parser, "out", help="the table to write, .tsv; .md and .tex beside it")


def run_paper_table(arguments: Namespace) -> None:
    from pmrpipe.study.options.scoring import PaperTable

    options = read(arguments, PaperTable)
    from pmrpipe.stages.score.paper import table_from_files

    table_from_files(arguments.name, arguments.summary, arguments.out, options.cohort)
