"""cohort.tsv, pairs.tsv and the description of the result folder: for people, no job reads them."""

from __future__ import annotations

from pathlib import Path

from pmrpipe.base.files import write_json, write_rows, write_text
from pmrpipe.stages.cohort.index import (
    COHORT_COLUMNS,
    PAIR_COLUMNS,
    cohort_rows,
    index,
    pair_rows,
    remarks,
)
from pmrpipe.stages.cohort.pairs import pairs_of
from pmrpipe.stages.cohort.results_folder import description_of, require_own_folder
from pmrpipe.study.config import Study

# Stages and files of the study that BIDS has no names for.
_NOT_BIDS = (
    *("figures", "logs", "qc", "register", "report", "score", "timings", "train"),
    *("/*.html", "/cohort.tsv", "/pairs.tsv", "/provenance.json", "/qc.tsv", "*_xfm.*"),
)


def write_tables(study: Study, cohort_out: Path | None, pairs_out: Path | None) -> list[str]:
    """Index a study and write its tables and its description; lines that say what there is.

    Parameters
    ----------
    cohort_out, pairs_out : where the tables go; None = their places in the result folder

    Raises
    ------
    InputError : as `index` and `select`, or the result folder is a dataset that is not ours
    """
    cohort, paths = index(study), study.paths
    require_own_folder(paths.description, study.input_root)
    pairs = pairs_of(study, cohort, paths.space.key)
    write_rows(cohort_out or paths.cohort, COHORT_COLUMNS, cohort_rows(cohort))
    write_rows(pairs_out or paths.pairs, PAIR_COLUMNS, pair_rows(pairs))
    write_json(paths.description, description_of(study.cohort))
    write_text(paths.description.with_name(".bidsignore"), "\n".join(_NOT_BIDS) + "\n")
    counts = {name: len(cohort.of(name)) for name in ("train", "validation", "test")}
    counted = f"{study.cohort}: {counts}, {len(pairs)} pairs, {len(cohort.excluded)} excluded"
    return [*(f"note: {remark}" for remark in remarks(cohort)), counted]
