"""Verb `register`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from pmrpipe.base.errors import WorkError
from pmrpipe.base.files import atomic
from pmrpipe.cli.messages import path_argument, say


def add_register(parser: ArgumentParser) -> None:
    path_argument(parser, "moving", help="T1w scan that is moved")
    path_argument(parser, "fixed", help="T1w scan that it is brought to")
    path_argument(parser, "--output", required=True, help="folder for the results")
    parser.add_argument("--method", help="name or YAML; default: that of --weights, else pmr-plus")
    path_argument(parser, "--weights", help="trained weights; default: those in the package")
    parser.add_argument(
        "--refine",
        type=int,
        metavar="N",
        help="most steps a level of instance optimisation; 0: none; default: the method's own",
    )
    parser.add_argument(
        "--refine-mm",
        type=float,
        default=1.0,
        metavar="MM",
        help="its finest level: 2 is faster and smoother, 1 more accurate (default)",
    )
    parser.add_argument(
        "--uncertainty",
        type=int,
        default=0,
        metavar="K",
        help="map of the standard deviation over K samples of a network's posterior",
    )
    path_argument(parser, "--labels", help="label map of the moving scan, brought along")
    parser.add_argument("--interpolation", choices=["nearest", "genericLabel"], default="nearest")
    parser.add_argument(
        "--brain-extracted", action="store_true", help="both scans hold the brain alone"
    )
    for which in ("moving", "fixed"):
        path_argument(parser, f"--{which}-mask", help=f"brain mask of the {which} scan")
        parser.add_argument(
            f"--{which}-orientation", metavar="CODE", help="where its header states none"
        )
    path_argument(parser, "--head-template", help="whole head: brains are extracted by ANTs")
    path_argument(parser, "--brain-template", help="its brain: probability, mask or cut out")
    parser.add_argument("--n4", action="store_true", help="correct both brains' intensity bias")
    parser.add_argument("--mm", type=float, default=1.0, help="voxel size of the template grid")
    path_argument(
        parser,
        "--cache",
        help="keeps preprocessed scans by content; default: $PMRPIPE_CACHE or ~/.cache/pmrpipe",
    )
    parser.add_argument("--no-cache", action="store_true", help="keep nothing")
    parser.add_argument("--seed", type=int, default=2019)
    parser.add_argument("--threads", type=int, help="default: all cores")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])


def run_register(options: Namespace) -> None:
    from pmrpipe.base.malloc import keep_freed_memory
    from pmrpipe.native.request import Scan, default_cache, register

    keep_freed_memory()
    _require_writable(options.output)
    state = "brain" if options.brain_extracted else "head"
    result = register(
        Scan(options.moving, state, options.moving_mask, options.moving_orientation),
        Scan(options.fixed, state, options.fixed_mask, options.fixed_orientation),
        options.output,
        method=options.method,
        weights=options.weights,
        refine=options.refine,
        refine_mm=options.refine_mm,
        uncertainty=options.uncertainty,
        labels=options.labels,
        interpolation=options.interpolation,
        n4=options.n4,
        head_template=options.head_template,
        brain_template=options.brain_template,
        mm=options.mm,
        cache=None if options.no_cache else options.cache or default_cache(),
        seed=options.seed,
        threads=options.threads,
        device=options.device,
        say=say,
    )
    facts = result.facts
    say(f"NCC {facts['ncc_affine']:.3f} by the affine, {facts['ncc']:.3f} registered")
    say(f"look at {options.output / 'qc.html'}")


def _require_writable(folder: Path) -> None:
    """Before minutes of work: a file can be written there."""
    with atomic(folder / ".pmrpipe") as temporary:
        temporary.touch()
    try:
        (folder / ".pmrpipe").unlink(missing_ok=True)  # another run may have been faster
    except OSError as error:
        raise WorkError(folder, f"cannot be written ({error.strerror})") from None
