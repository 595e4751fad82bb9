"""Verb `register-pairs`."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable
from typing import Any

from pmrpipe.base.errors import InputError
from pmrpipe.cli.messages import follow, path_argument, say


def add_register_pairs(parser: ArgumentParser) -> None:
    path_argument(parser, "results", help="result folder of the cohort")
    path_argument(parser, "out", help="list of the registered pairs, TSV")
    parser.add_argument("--method", required=True, help="name or YAML file of the method")
    parser.add_argument("--refine", type=int, default=0, help="optimise each pair: steps a level")
    parser.add_argument("--refine-mm", type=float, default=1.0, help="finest of these levels")
    parser.add_argument(
        "--uncertainty",
        type=int,
        default=0,
        metavar="K",
        help="map of the displacement's standard deviation from K samples of the posterior",
    )
    path_argument(parser, "--uncertainty-table", help="list of these maps, TSV")
    parser.add_argument("--name", help="name of the result folder; default: the method's")
    parser.add_argument("--pairs", nargs="+", required=True, metavar="MOVING_to_FIXED")
    parser.add_argument("--mm", type=float, default=1.0, help="voxel size of the template grid")
    path_argument(parser, "--weights", help="folder with weights.safetensors, for a network")
    parser.add_argument("--network-mm", type=float, help="voxel size inside the network")
    parser.add_argument("--labels", nargs="*", default=[], metavar="KEY=FILE", help="native labels")
    parser.add_argument("--orientations", nargs="*", default=[], metavar="KEY=CODE")
    parser.add_argument("--interpolation", choices=["nearest", "genericLabel"], default="nearest")
    parser.add_argument("--seed", type=int, default=2019)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])


def run_register_pairs(options: Namespace) -> None:
    # Before ITK is loaded: its sums depend on the number of threads.
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(options.threads)
    import pandas as pd
    import torch

    from pmrpipe.base.files import write_tsv
    from pmrpipe.methods.load import load_method
    from pmrpipe.stages.register.pairs import NativeLabels, PairRegistration
    from pmrpipe.study.paths import Results

    torch.set_num_threads(options.threads)
    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    spec, method = load_method(
        options.method,
        weights=options.weights,
        network_mm=options.network_mm,
        seed=options.seed,
        device=device,
    )
    if options.refine:
        from pmrpipe.methods.refine import Refined, Refinement

        method = Refined(method, Refinement(steps=options.refine).down_to(options.refine_mm))
    results, name = Results(options.results, options.mm), options.name or spec.name
    rows: list[dict[str, Any]] = []
    also = None
    if options.uncertainty:
        also = _uncertainty(options, spec.uncertainty_factor, method, results, name, rows)
    codes = _pairs_of(options.orientations)
    labels = {k: NativeLabels(v, codes.get(k)) for k, v in _pairs_of(options.labels).items()}
    job = PairRegistration(
        method, name, results, labels, options.interpolation, device, spec.deforms, also
    )
    pairs = [_pair(name) for name in options.pairs]
    done = list(job.run(follow(pairs, len(pairs), lambda pair: "{} to {}".format(*pair))))
    spacing = options.network_mm or spec.network_mm or options.mm
    table = pd.DataFrame(done).assign(
        device=device, threads=options.threads, network_mm=spacing if spec.learned else options.mm
    )
    if options.uncertainty_table and rows:
        write_tsv(options.uncertainty_table, pd.DataFrame(rows))
    write_tsv(options.out, table)


def _uncertainty(
    options: Namespace,
    factor: float,
    method: Any,
    results: Any,
    name: str,
    rows: list[dict[str, Any]],
) -> Callable[..., None] | None:
    """What writes a pair's map and keeps its row; None for a method that has no posterior."""
    from pmrpipe.methods.protocols import Probabilistic
    from pmrpipe.stages.register.uncertainty import UncertaintyMaps

    if options.uncertainty < 2:
        raise InputError("--uncertainty", "one sample has no deviation", "give at least 2")
    if not isinstance(method, Probabilistic):
        say(f"{name} has no posterior: no uncertainty is written")
        return None
    maps = UncertaintyMaps(method, name, results, options.uncertainty, options.seed, factor)
    return lambda *pair: rows.append(maps.write(*pair))


def _pair(name: str) -> tuple[str, str]:
    moving, separator, fixed = name.partition("_to_")
    if not separator:
        raise InputError(name, "is no pair", "write MOVING_to_FIXED")
    return moving, fixed


def _pairs_of(items: Iterable[str]) -> dict[str, Any]:
    return dict(item.split("=", 1) for item in items)
