"""Flags of every verb that takes scans as they come: how they are prepared and registered."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Collection

from pmrpipe.cli.arguments import add, read
from pmrpipe.study.options.two_scans import TwoScans


def add_work(parser: ArgumentParser, names: Collection[str] | None = None) -> None:
    """Add the options of two scans, or those of `names` alone, and `--no-cache`."""
    add(parser, TwoScans, names)
    parser.add_argument(
        "--no-cache",
        action="store_true",
        help="keep no preprocessed scans; without --cache they are kept in $PMRPIPE_CACHE, or in "
        "~/.cache/pmrpipe",
    )


def read_work(options: Namespace) -> TwoScans:
    """The options, with the user's cache where no other is named; InputError as `read`."""
    from pmrpipe.base.files import cache_folder
    from pmrpipe.base.outputs import require_folder

    work = read(options, TwoScans)
    cache = None if options.no_cache else work.cache or cache_folder()
    if cache is not None:
        require_folder(cache)
    return work.model_copy(update={"cache": cache})
