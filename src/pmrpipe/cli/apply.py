"""Verb `apply`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pmrpipe.base.errors import InputError
from pmrpipe.cli.arguments import path_argument


def add_apply(parser: ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--image", metavar="FILE", help="image or label map, of the moving scan")
    what.add_argument(
        "--points",
        metavar="FILE",
        help="table with columns x, y, z in mm, of the fixed scan; or Slicer's .fcsv",
    )
    parser.add_argument(
        "--transforms",
        nargs="+",
        required=True,
        metavar="FILE",
        help="ITK affines and displacement fields in the order of antsApplyTransforms; "
        '"[FILE,1]" is the inverse of an affine',
    )
    path_argument(parser, "--output", required=True, help="what is written")
    path_argument(parser, "--reference", help="image whose grid is taken, with --image")
    parser.add_argument(
        "--interpolation",
        choices=["linear", "nearest", "genericLabel", "oneHot", "bspline"],
        default="linear",
        help="oneHot: the label whose linearly interpolated one-hot map is largest, which is "
        "what genericLabel does as well",
    )
    parser.add_argument("--fill", type=float, default=0.0, help="value outside the image")
    parser.add_argument(
        "--frame",
        choices=["RAS", "LPS"],
        help="of the points' coordinates; default: what the file states, else RAS",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="the output may be one of the inputs"
    )
    parser.add_argument("--orientation", help="orientation code, where the header has none")


def run_apply(options: Namespace) -> None:
    from pmrpipe.stages.register.apply import apply_to_image, apply_to_points

    if options.points:
        apply_to_points(
            options.points,
            options.transforms,
            options.output,
            frame=options.frame,
            overwrite=options.overwrite,
        )
        return
    if options.reference is None:
        raise InputError("--reference", "is missing", "name the image whose grid is taken")
    way = options.interpolation
    apply_to_image(
        options.image,
        options.reference,
        options.transforms,
        options.output,
        interpolation="genericLabel" if way == "oneHot" else way,
        fill=options.fill,
        orientation=options.orientation,
        overwrite=options.overwrite,
    )
