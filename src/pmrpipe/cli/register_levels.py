"""Verb `register-levels`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pmrpipe.base.errors import InputError
from pmrpipe.cli.messages import follow, path_argument


def add_register_levels(parser: ArgumentParser) -> None:
    path_argument(parser, "results", help="result folder of the cohort, scored")
    parser.add_argument("--method", required=True, help="name or YAML file of the method")
    parser.add_argument("--name", help="name of the result folder; default: the method's")
    parser.add_argument("--mm", type=float, default=1.0, help="voxel size of the template grid")
    path_argument(parser, "--weights", required=True, help="folder with weights.safetensors")
    parser.add_argument("--network-mm", type=float, help="voxel size inside the network")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])


def run_register_levels(options: Namespace) -> None:
    import pandas as pd
    import torch

    from pmrpipe.base.files import read_tsv, write_tsv
    from pmrpipe.methods.load import load_method
    from pmrpipe.methods.protocols import Layered
    from pmrpipe.metrics.choice import choose_pairs
    from pmrpipe.stages.register.level_fields import write_level_fields
    from pmrpipe.study.paths import Results

    torch.set_num_threads(options.threads)
    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    spec, method = load_method(
        options.method, weights=options.weights, network_mm=options.network_mm, device=device
    )
    if not isinstance(method, Layered):
        raise InputError(options.method, "has no levels", "name a multilayer network")
    name, results = options.name or spec.name, Results(options.results, options.mm)
    scores = read_tsv(results.score(name) / "by_pair.tsv", ("moving", "fixed", "dice", "ncc"))
    chosen = [(m, f) for _, m, f, _ in choose_pairs(scores)]
    followed = follow(chosen, len(chosen), lambda pair: "{} to {}".format(*pair))
    rows = list(write_level_fields(method, name, results, followed, device))
    table = pd.DataFrame(rows, columns=["moving", "fixed", "level", "max_mm"])
    write_tsv(results.levels(name) / "levels.tsv", table)
