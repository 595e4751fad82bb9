"""Verbs `cohort` and `simulate`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pmrpipe.cli.messages import path_argument, say


def add_cohort(parser: ArgumentParser) -> None:
    parser.add_argument("study", help="configuration: a YAML file, or JSON text")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="override keys")
    path_argument(parser, "--cohort-out", help="cohort.tsv; default: in the result folder")
    path_argument(parser, "--pairs-out", help="pairs.tsv; default: in the result folder")


def run_cohort(options: Namespace) -> None:
    from pmrpipe.base.files import write_json, write_rows, write_text
    from pmrpipe.stages.cohort.index import COHORT_COLUMNS, PAIR_COLUMNS, cohort_rows, pair_rows
    from pmrpipe.study.config import load, parse
    from pmrpipe.workflow.plan import Plan

    study = load(options.study)
    if options.set:
        import yaml

        changes = dict(item.split("=", 1) for item in options.set)
        values = {key: yaml.safe_load(value) for key, value in changes.items()}
        study = parse(study.model_dump() | values, options.study)
    plan = Plan(study)
    paths = plan.results
    write_rows(options.cohort_out or paths.cohort, COHORT_COLUMNS, cohort_rows(plan.cohort))
    write_rows(options.pairs_out or paths.pairs, PAIR_COLUMNS, pair_rows(plan.pairs))
    write_json(paths.description, _description(study.cohort))
    write_text(paths.description.with_name(".bidsignore"), "\n".join(_NOT_BIDS) + "\n")
    counts = {name: len(plan.cohort.of(name)) for name in ("train", "validation", "test")}
    say(f"{study.cohort}: {counts}, {len(plan.pairs)} pairs, {len(plan.cohort.excluded)} excluded")


# Stages and files of the study that BIDS has no names for.
_NOT_BIDS = (
    *("figures", "logs", "qc", "register", "report", "score", "timings", "train"),
    *("/*.html", "/cohort.tsv", "/pairs.tsv", "/provenance.json", "/qc.tsv", "*_xfm.*"),
)


def _description(name: str) -> dict[str, object]:
    from pmrpipe.base.version import VERSION

    return {
        "Name": f"pmrpipe: {name}",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "pmrpipe", "Version": VERSION}],
    }


def add_simulate(parser: ArgumentParser) -> None:
    path_argument(parser, "root", help="folder of the simulated dataset")
    parser.add_argument("--subjects", type=int, default=8, help="number of subjects")
    parser.add_argument("--mm", type=float, default=1.0, help="mean voxel size")
    parser.add_argument("--seed", type=int, default=2019)
    parser.add_argument("--only", type=int, help="write this subject alone (counted from 1)")
    parser.add_argument("--dataset-only", action="store_true", help="write the dataset files alone")


def run_simulate(options: Namespace) -> None:
    from pmrpipe.stages.cohort import embedded

    if options.dataset_only:
        embedded.write_dataset(options.root, options.subjects, options.mm, options.seed)
    elif options.only is not None:
        embedded.simulate_subject(options.root, options.only, options.mm, options.seed)
    else:
        embedded.simulate(options.root, options.subjects, options.mm, options.seed, progress=say)


def add_label_table(parser: ArgumentParser) -> None:
    path_argument(parser, "out", help="the table to write, TSV")
    path_argument(parser, "maps", nargs="+", help="label maps")
    parser.add_argument("--orientation", help="orientation code, where the headers have none")


def run_label_table(options: Namespace) -> None:
    import numpy as np
    import pandas as pd

    from pmrpipe.base.files import write_tsv
    from pmrpipe.images.volume import read_labels

    found: set[int] = set()
    for path in options.maps:
        found |= set(np.unique(read_labels(path, options.orientation).data).tolist())
    index = sorted(found - {0})
    table = pd.DataFrame({"index": index, "name": [f"label {n}" for n in index]})
    write_tsv(options.out, table.assign(region=np.nan, scored=1))
    say(f"{options.out}: {len(index)} labels; give them names and regions")
