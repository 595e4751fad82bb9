"""Verbs of the stage preprocess: the space, the five steps, all of them, and packing."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pmrpipe.cli.arguments import add, path_argument, read
from pmrpipe.cli.messages import say


def add_space(parser: ArgumentParser) -> None:
    from pmrpipe.study.options.preprocessing import Gridded

    path_argument(parser, "out", help="template brain, NIfTI")
    path_argument(parser, "preproc", help="template brain whitened like every subject's, NIfTI")
    add(parser, Gridded)


def run_space(arguments: Namespace) -> None:
    from pmrpipe.stages.preprocess import space
    from pmrpipe.study.options.preprocessing import Gridded

    space.run(arguments.out, arguments.preproc, read(arguments, Gridded))


def add_brain(parser: ArgumentParser) -> None:
    from pmrpipe.study.options.preprocessing import Extraction

    path_argument(parser, "t1w", help="T1w scan as it comes")
    path_argument(parser, "out_mask", help="brain mask on the native grid")
    path_argument(parser, "out_brain", help="brain on the native grid")
    add(parser, Extraction)


def run_brain(arguments: Namespace) -> None:
    from pmrpipe.study.options.preprocessing import Extraction

    options = read(arguments, Extraction)
    from pmrpipe.stages.preprocess import brain

    brain.run(arguments.t1w, arguments.out_mask, arguments.out_brain, options)


def add_resample(parser: ArgumentParser) -> None:
    from pmrpipe.study.options.preprocessing import Voxels

    path_argument(parser, "brain", help="brain on the native grid")
    path_argument(parser, "out", help="brain with isotropic voxels")
    add(parser, Voxels)


def run_resample(arguments: Namespace) -> None:
    from pmrpipe.stages.preprocess import resample
    from pmrpipe.study.options.preprocessing import Voxels

    resample.run(arguments.brain, arguments.out, read(arguments, Voxels))


def add_affine(parser: ArgumentParser) -> None:
    from pmrpipe.study.options.preprocessing import Normalisation

    path_argument(parser, "brain", help="brain with isotropic voxels")
    path_argument(parser, "template", help="template brain")
    path_argument(parser, "out_mat", help="ITK affine")
    path_argument(parser, "out_json", help="its sidecar")
    parser.add_argument("--subject", required=True, help="name for messages")
    add(parser, Normalisation)


def run_affine(arguments: Namespace) -> None:
    from pmrpipe.study.options.preprocessing import Normalisation

    options = read(arguments, Normalisation)
    from pmrpipe.stages.preprocess import affine

    files = arguments.brain, arguments.template, arguments.out_mat, arguments.out_json
    affine.run(*files, options, subject=arguments.subject)


def add_coregister(parser: ArgumentParser) -> None:
    from pmrpipe.study.options.preprocessing import Coregistration

    path_argument(parser, "scan", help="scan as it comes, of any contrast")
    path_argument(parser, "t1w_brain", help="brain of its session's T1w, on the T1w's own grid")
    path_argument(parser, "t1w_mask", help="mask of that brain")
    path_argument(parser, "out_mat", help="ITK rigid transform")
    path_argument(parser, "out_json", help="its sidecar")
    parser.add_argument("--subject", required=True, help="key of the scan, sub-X[...]_CONTRAST")
    add(parser, Coregistration)


def run_coregister(arguments: Namespace) -> None:
    from pmrpipe.study.options.preprocessing import Coregistration

    options = read(arguments, Coregistration)
    from pmrpipe.stages.preprocess import coregister

    files = (
        arguments.scan,
        arguments.t1w_brain,
        arguments.t1w_mask,
        arguments.out_mat,
        arguments.out_json,
    )
    coregister.run(*files, options, subject=arguments.subject)


def add_whiten(parser: ArgumentParser) -> None:
    from pmrpipe.study.options.preprocessing import Whitening

    path_argument(parser, "brain", help="brain on the native grid")
    path_argument(parser, "mask", help="brain mask on the native grid")
    path_argument(parser, "xfm", help="ITK affine")
    path_argument(parser, "template", help="template brain: the grid")
    path_argument(parser, "out", help="whitened brain on the template grid")
    add(parser, Whitening)


def run_whiten(arguments: Namespace) -> None:
    from pmrpipe.study.options.preprocessing import Whitening

    options = read(arguments, Whitening)
    from pmrpipe.stages.preprocess import whiten

    whiten.run(
        arguments.brain, arguments.mask, arguments.xfm, arguments.template, arguments.out, options
    )


def add_labels(parser: ArgumentParser) -> None:
    from pmrpipe.study.options.preprocessing import CheckedLabelling

    path_argument(parser, "dseg", help="label map on the native grid")
    path_argument(parser, "t1w", help="its T1w scan, to check the grid")
    path_argument(parser, "xfm", help="ITK affine")
    path_argument(parser, "template", help="template brain: the grid")
    path_argument(parser, "out", help="labels on the template grid")
    add(parser, CheckedLabelling)


def run_labels(arguments: Namespace) -> None:
    from pmrpipe.stages.preprocess import labels
    from pmrpipe.study.options.preprocessing import CheckedLabelling

    options = read(arguments, CheckedLabelling)
    if options.table:
        labels.require_some_listed(arguments.dseg, options.table, options.orientation)
    labels.run(
        arguments.dseg, arguments.t1w, arguments.xfm, arguments.template, arguments.out, options
    )
    unlisted = labels.unlisted(arguments.out, options.table) if options.table else []
    if unlisted:
        table = f"the table {options.table}"
        say(f"warning: {arguments.dseg}: labels {unlisted} are not in {table} and not scored")


def add_preprocess(parser: ArgumentParser) -> None:
    from pmrpipe.study.options.preprocessing import Preprocessing

    path_argument(parser, "t1w", help="T1w scan as it comes")
    path_argument(parser, "results", help="result folder of the cohort")
    parser.add_argument("--key", required=True, help="sub-X[_ses-Y][_run-N][_CONTRAST]")
    add(parser, Preprocessing)


def run_preprocess(arguments: Namespace) -> None:
    from pmrpipe.study.options.preprocessing import Preprocessing

    options = read(arguments, Preprocessing)
    from pmrpipe.stages.preprocess import workflow
    from pmrpipe.study.paths import Results

    workflow.run(arguments.t1w, Results.of(arguments.results, options), arguments.key, options)


def add_pack(parser: ArgumentParser) -> None:
    from pmrpipe.study.options.preprocessing import Packing

    path_argument(parser, "results", help="result folder of the cohort")
    path_argument(parser, "out", help="arrays, safetensors")
    add(parser, Packing)


def run_pack(arguments: Namespace) -> None:
    from pmrpipe.stages.preprocess import pack
    from pmrpipe.study.options.preprocessing import Packing

    pack.run(arguments.results, arguments.out, read(arguments, Packing))
