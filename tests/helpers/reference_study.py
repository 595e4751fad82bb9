"""A made-up study whose methods stand beside `syn`, as the workflow's jobs would leave it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

from pmrpipe.stages.score.reference_pairs import compare_pairs
from pmrpipe.stages.score.reference_tables import write_tables
from pmrpipe.study.keys import pair_name
from pmrpipe.study.options.scoring import Comparing, Referring
from pmrpipe.study.paths import Results

REFERENCE = "syn"
COMPARED = ("affine", "pmr", "pmr-cc")


def pairs() -> list[tuple[str, str]]:
    return list(permutations(("sub-01", "sub-02", "sub-03"), 2))


def compare(results: Results, jobs: Sequence[str] | None = None) -> None:
    """Two jobs of each method, then the tables; `jobs`: only the tables, of these."""
    halves = {"0001of0002": pairs()[:2], "0002of0002": pairs()[2:]}
    for method in COMPARED if jobs is None else ():
        for job, some in halves.items():
            options = Comparing(
                mm=results.mm,
                method=method,
                reference=REFERENCE,
                identity=method == "affine",
                pairs=tuple(pair_name(*pair) for pair in some),
            )
            compare_pairs(results, results.compared(method, job), options)
    referring = Referring(
        cohort="made-up",
        references=dict.fromkeys(COMPARED, REFERENCE),
        methods=("affine", REFERENCE, "pmr", "pmr-cc"),
        jobs=tuple(jobs or (f"{method}/{job}" for method in COMPARED for job in halves)),
    )
    write_tables(results, referring)
