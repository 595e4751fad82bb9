"""Verb `apply`."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace

from pmrpipe.base.errors import InputError
from pmrpipe.cli.arguments import add, read
from pmrpipe.cli.messages import say


def add_apply(parser: ArgumentParser) -> None:
    from pmrpipe.study.options.applying import Applying

    add(parser, Applying, either=("image", "points"))


def run_apply(arguments: Namespace) -> None:
    from pmrpipe.study.options.applying import Applying

    options = read(arguments, Applying)
    from pmrpipe.stages.register.apply import apply_to_image, apply_to_points

    transforms, out, overwrite = options.transforms, options.output, options.overwrite
    if options.image is None:
        assert options.points is not None  # one of the two, says the parser
        apply_to_points(options.points, transforms, out, frame=options.frame, overwrite=overwrite)
        return
    if options.reference is None:
        raise InputError("--reference", "is missing", "name the image whose grid is taken")
    way = options.interpolation
    if way in ("linear", "bspline") and re.search(r"(dseg|aseg|aparc)", options.image.name):
        say(
            f"warning: {options.image} is a label map by its name, and {way} interpolation mixes "
            "labels; say --interpolation nearest or genericLabel"
        )
    apply_to_image(
        options.image,
        options.reference,
        transforms,
        out,
        interpolation="genericLabel" if way == "oneHot" else way,
        fill=options.fill,
        orientation=options.orientation,
        overwrite=overwrite,
    )
