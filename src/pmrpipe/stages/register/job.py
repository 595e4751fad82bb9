"""One job of registration: a method is loaded once, and registers its pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pmrpipe.base.device import chosen_device
from pmrpipe.base.errors import InputError
from pmrpipe.base.files import write_tsv
from pmrpipe.study.keys import named_pair
from pmrpipe.study.options.registration import Registration
from pmrpipe.study.paths import Results

if TYPE_CHECKING:
    from pmrpipe.methods.spec import MethodSpec

Pair = tuple[str, str]
Follow = Callable[[Sequence[Pair]], Iterable[Pair]]
Say = Callable[[str], None]


def _silent(text: str) -> None:
    pass


def register_pairs(
    results: Path, out: Path, options: Registration, follow: Follow = iter, say: Say = _silent
) -> None:
    """Register pairs of preprocessed scans, and write their list to `out` when all are whole.

    `ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS` counts when ITK is loaded: who calls sets it before.

    Parameters
    ----------
    results : result folder of the cohort
    follow : goes through the pairs, and tells of them

    Raises
    ------
    InputError : no such method, weights of another, a scan that is not preprocessed
    """
    import pandas as pd

    from pmrpipe.stages.register.pairs import NativeLabels, PairRegistration

    pairs, device = [named_pair(name) for name in options.pairs], chosen_device(options.device)
    objectives: list[tuple[float, float]] = []
    spec, method = _loaded(options, device, objectives.append)
    paths, name = Results.of(results, options), options.name or spec.name
    codes, owners = options.orientations, options.label_scans
    labels = {
        key: NativeLabels(path, codes.get(key), owners.get(key))
        for key, path in options.labels.items()
    }
    lesions = {key: NativeLabels(path, codes.get(key)) for key, path in options.lesions.items()}
    maps: list[dict[str, Any]] = []
    also = _uncertainty(options, spec, method, paths, name, maps, say)
    job = PairRegistration(
        method, name, paths, labels, options.interpolation, device, spec.deforms, also, lesions
    )
    rows = list(job.run(follow(pairs)))
    if options.uncertainty_table and maps:
        write_tsv(options.uncertainty_table, pd.DataFrame(maps))
    spacing = (options.network_mm or spec.network_mm) if spec.learned else None
    table = pd.DataFrame(rows).assign(
        device=device, threads=options.threads, network_mm=spacing or options.mm
    )
    if objectives:
        table[["objective_before", "objective_after"]] = objectives
    write_tsv(out, table)


def _loaded(
    options: Registration, device: str, tuned: Callable[[tuple[float, float]], None]
) -> tuple[MethodSpec, Any]:
    """The method, ready to register, instance optimisation included.

    tuned : is called with each pair's objective before and after its weights were tuned

    Raises
    ------
    InputError : as `load_method`; both kinds of instance optimisation; weights of what has none
    """
    import torch

    from pmrpipe.methods.load import load_method
    from pmrpipe.methods.protocols import RefinesItself

    torch.set_num_threads(options.threads)
    spec, method = load_method(
        options.method,
        weights=options.weights,
        network_mm=options.network_mm,
        seed=options.seed,
        device=device,
    )
    if options.refine and options.finetune:
        problem = "both optimise each pair: the field, and the weights"
        raise InputError("--finetune", problem, "ask for one of them")
    if options.refine and isinstance(method, RefinesItself):
        return spec, method.refined(options.refine, options.refine_mm)
    if options.refine:
        from pmrpipe.methods.refine import Refined, Refinement

        plan = Refinement(steps=options.refine, elastic=options.refine_elastic)
        method = Refined(method, plan.down_to(options.refine_mm))
    if options.finetune:
        from pmrpipe.methods.finetune import Finetuning, finetuned

        tuning = Finetuning(options.finetune, options.finetune_rate)
        method = finetuned(spec, method, tuning, done=tuned)
    return spec, method


def _uncertainty(
    options: Registration,
    spec: MethodSpec,
    method: Any,
    results: Results,
    name: str,
    rows: list[dict[str, Any]],
    say: Say,
) -> Callable[..., None] | None:
    """What writes a pair's map and keeps its row; None where none is asked for or can be."""
    if not options.uncertainty:
        return None
    from pmrpipe.methods.protocols import Probabilistic
    from pmrpipe.stages.register.uncertainty import UncertaintyMaps, factor_of

    if not isinstance(method, Probabilistic):
        say(f"{name} has no posterior: no uncertainty is written")
        return None
    maps = UncertaintyMaps(
        method, name, results, options.uncertainty, options.seed, factor_of(method, spec)
    )
    return lambda *pair: rows.append(maps.write(*pair))
