"""Verb `methods`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace


def add_methods(parser: ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="show this method's whole specification")


def run_methods(options: Namespace) -> None:
    from pmrpipe.methods.spec import names, spec, spec_path

    if options.name:
        print(spec_path(options.name).read_text(encoding="utf-8"), end="")
        return
    for name in names():
        chosen = spec(name)
        print(f"{name:12} {chosen.kind:10} {chosen.title}\n{'':24}{chosen.citation}")
