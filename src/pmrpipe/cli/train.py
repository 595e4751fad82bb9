"""Verbs `train` and `ship`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from pmrpipe.cli.messages import path_argument, say


def add_train(parser: ArgumentParser) -> None:
    path_argument(parser, "arrays", help="packed arrays")
    path_argument(parser, "out", help="folder for weights.safetensors, model.json, history.tsv")
    parser.add_argument("--method", required=True, help="name or YAML file of the method")
    path_argument(parser, "--init", help="folder with weights with which training begins")
    parser.add_argument("--train", nargs="+", required=True, metavar="KEY")
    parser.add_argument("--validation", nargs="*", default=[], metavar="KEY")
    parser.add_argument("--network-mm", type=float, help="voxel size inside the network")
    parser.add_argument("--max-steps", type=int)
    parser.add_argument("--max-minutes", type=float)
    parser.add_argument("--validate-every", type=int)
    parser.add_argument("--seed", type=int, default=2019)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--devices", type=int, default=1, help="GPUs, or processes on the CPU")
    parser.add_argument("--memory-mb", type=int, help="memory of the job; images may take half")


def run_train(options: Namespace) -> None:
    from pmrpipe.base.versions import commit
    from pmrpipe.methods.spec import spec
    from pmrpipe.stages.train.fit import fit

    found = spec(options.method)
    names = ("max_steps", "max_minutes", "validate_every")
    changes = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if "max_steps" in changes and "max_minutes" not in changes:
        changes["max_minutes"] = None
    schedule = found.schedule.model_copy(update=changes)
    fit(
        found.model_copy(update={"schedule": schedule}),
        options.arrays,
        options.out,
        train=options.train,
        validation=options.validation,
        init=options.init,
        seed=options.seed,
        network_mm=options.network_mm,
        threads=options.threads,
        device="gpu" if options.device == "cuda" else options.device,
        devices=options.devices,
        memory_mb=options.memory_mb,
        say=say,
        bar=sys.stderr.isatty(),
        facts={"commit": commit(Path(__file__).resolve().parents[3])},
    )


def add_ship(parser: ArgumentParser) -> None:
    path_argument(parser, "trained", help="folder with weights.safetensors and model.json")
    path_argument(parser, "dataset", help="BIDS folder that it was trained on, for its licence")


def run_ship(options: Namespace) -> None:
    from pmrpipe.stages.train.ship import ship

    say(f"written to {ship(options.trained, options.dataset)}")
