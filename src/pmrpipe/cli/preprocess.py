"""Verbs of the preprocess stage: template, the five steps, the whole, and packing."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from pmrpipe.cli.messages import path_argument, say


def _add_orientation(parser: ArgumentParser) -> None:
    parser.add_argument("--orientation", help="orientation code, where the header has none")


def _add_threads(parser: ArgumentParser) -> None:
    parser.add_argument("--threads", type=int, default=1)


def _add_extraction(parser: ArgumentParser) -> None:
    methods = ["deepbet", "template", "mask", "nonzero"]
    parser.add_argument("--method", choices=methods, default="deepbet")
    path_argument(parser, "--mask", help="existing brain mask, for --method mask")
    path_argument(parser, "--head-template", help="whole head, for --method template")
    path_argument(parser, "--brain-template", help="its brain: probability, mask or cut out")


def add_template(parser: ArgumentParser) -> None:
    path_argument(parser, "out", help="template brain, NIfTI")
    path_argument(parser, "preproc", help="template brain whitened like every subject's, NIfTI")
    parser.add_argument("--mm", type=float, default=1.0, help="voxel size of the grid")


def run_template(options: Namespace) -> None:
    from pmrpipe.stages.preprocess import steps

    steps.template(options.out, options.preproc, mm=options.mm)


def add_brain(parser: ArgumentParser) -> None:
    path_argument(parser, "t1w", help="T1w scan as it comes")
    path_argument(parser, "out_mask", help="brain mask on the native grid")
    path_argument(parser, "out_brain", help="brain on the native grid")
    parser.add_argument("--state", choices=["head", "brain"], default="head")
    _add_extraction(parser)
    parser.add_argument("--n4", action="store_true", help="correct the brain's intensity bias")
    _add_orientation(parser)
    _add_threads(parser)


def run_brain(options: Namespace) -> None:
    from pmrpipe.stages.preprocess import steps

    steps.brain(
        options.t1w,
        options.out_mask,
        options.out_brain,
        state=options.state,
        method=options.method,
        mask=options.mask,
        head_template=options.head_template,
        brain_template=options.brain_template,
        orientation=options.orientation,
        n4=options.n4,
        threads=options.threads,
    )


def add_resample(parser: ArgumentParser) -> None:
    path_argument(parser, "brain", help="brain on the native grid")
    path_argument(parser, "out", help="brain with isotropic voxels")
    parser.add_argument("--mm", type=float, default=1.0)


def run_resample(options: Namespace) -> None:
    from pmrpipe.stages.preprocess import steps

    steps.resample(options.brain, options.out, mm=options.mm)


def add_affine(parser: ArgumentParser) -> None:
    path_argument(parser, "brain", help="brain with isotropic voxels")
    path_argument(parser, "template", help="template brain")
    path_argument(parser, "out_mat", help="ITK affine")
    path_argument(parser, "out_json", help="its sidecar")
    parser.add_argument("--subject", required=True, help="name for messages")
    parser.add_argument("--seed", type=int, default=2019)
    _add_threads(parser)


def run_affine(options: Namespace) -> None:
    from pmrpipe.stages.preprocess import steps

    steps.affine(
        options.brain,
        options.template,
        options.out_mat,
        options.out_json,
        subject=options.subject,
        seed=options.seed,
        threads=options.threads,
    )


def add_whiten(parser: ArgumentParser) -> None:
    path_argument(parser, "brain", help="brain on the native grid")
    path_argument(parser, "mask", help="brain mask on the native grid")
    path_argument(parser, "xfm", help="ITK affine")
    path_argument(parser, "template", help="template brain: the grid")
    path_argument(parser, "out", help="whitened brain on the template grid")


def run_whiten(options: Namespace) -> None:
    from pmrpipe.stages.preprocess import steps

    steps.whiten(options.brain, options.mask, options.xfm, options.template, options.out)


def add_labels(parser: ArgumentParser) -> None:
    path_argument(parser, "dseg", help="label map on the native grid")
    path_argument(parser, "t1w", help="its T1w scan, to check the grid")
    path_argument(parser, "xfm", help="ITK affine")
    path_argument(parser, "template", help="template brain: the grid")
    path_argument(parser, "out", help="labels on the template grid")
    parser.add_argument("--interpolation", choices=["nearest", "genericLabel"], default="nearest")
    parser.add_argument("--table", help="label table: warn of numbers that it lacks")
    _add_orientation(parser)


def run_labels(options: Namespace) -> None:
    from pmrpipe.stages.preprocess import steps

    steps.labels(
        options.dseg,
        options.t1w,
        options.xfm,
        options.template,
        options.out,
        interpolation=options.interpolation,
        orientation=options.orientation,
    )
    if options.table:
        _warn_unlisted(options.dseg, options.out, options.table)


def _warn_unlisted(source: Path, dseg: Path, table: str) -> None:
    import numpy as np

    from pmrpipe.images.volume import read_labels
    from pmrpipe.study.labels import read_label_table

    known = {0, *read_label_table(table)["index"]}
    unlisted = [int(n) for n in np.unique(read_labels(dseg).data) if n not in known]
    if unlisted:
        say(f"warning: {source}: labels {unlisted} are not in the table {table} and not scored")


def add_preprocess(parser: ArgumentParser) -> None:
    path_argument(parser, "t1w", help="T1w scan as it comes")
    path_argument(parser, "results", help="result folder of the cohort")
    parser.add_argument("--key", required=True, help="sub-X[_ses-Y][_run-N]")
    parser.add_argument("--state", choices=["head", "brain"], default="head")
    _add_extraction(parser)
    parser.add_argument("--n4", action="store_true", help="correct the brain's intensity bias")
    path_argument(parser, "--labels", help="label map on the native grid")
    parser.add_argument("--interpolation", choices=["nearest", "genericLabel"], default="nearest")
    parser.add_argument("--mm", type=float, default=1.0, help="voxel size of the template grid")
    parser.add_argument("--seed", type=int, default=2019)
    _add_orientation(parser)
    _add_threads(parser)


def run_preprocess(options: Namespace) -> None:
    from pmrpipe.stages.preprocess import workflow
    from pmrpipe.study.paths import Results

    workflow.run(
        options.t1w,
        Results(options.results, options.mm),
        options.key,
        state=options.state,
        method=options.method,
        mask=options.mask,
        head_template=options.head_template,
        brain_template=options.brain_template,
        labels=options.labels,
        interpolation=options.interpolation,
        orientation=options.orientation,
        n4=options.n4,
        seed=options.seed,
        threads=options.threads,
    )


def add_pack(parser: ArgumentParser) -> None:
    path_argument(parser, "results", help="result folder of the cohort")
    path_argument(parser, "out", help="arrays, safetensors")
    parser.add_argument("--mm", type=float, default=1.0, help="voxel size of the template grid")
    parser.add_argument("--keys", nargs="+", required=True, help="training and validation scans")
    parser.add_argument("--labelled", nargs="*", default=[], help="those of them with labels")
    parser.add_argument("--table", help="label table: which labels are scored")


def run_pack(options: Namespace) -> None:
    from pmrpipe.stages.preprocess import steps
    from pmrpipe.study.labels import scored_labels
    from pmrpipe.study.paths import Results

    paths = Results(options.results, options.mm)
    steps.pack(
        {key: paths.preproc(key) for key in options.keys},
        {key: paths.dseg(key) for key in options.labelled},
        options.out,
        labels=scored_labels(options.table),
    )
