"""The method that registers all scans to the template, and what its fields depend on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pmrpipe.base.device import chosen_device
from pmrpipe.base.digest import digest
from pmrpipe.base.errors import InputError
from pmrpipe.base.files import sha256
from pmrpipe.study.options.template import Rounds, TemplateMaking

if TYPE_CHECKING:
    from pathlib import Path

    from pmrpipe.methods.protocols import Method
    from pmrpipe.methods.spec import MethodSpec


@dataclass(frozen=True)
class Ready:
    """A method, where it runs, and a digest of all that its fields depend on but the images."""

    method: Method
    device: str
    identity: str


def ready(options: TemplateMaking) -> Ready:
    """Load the method, and refine its answers as the options say.

    Raises
    ------
    InputError : no such method, a network without weights, refinement of what is no network
    """
    import torch

    from pmrpipe.methods.load import load_method, shipped_weights

    torch.set_num_threads(options.threads)
    device = chosen_device(options.device)
    weights = options.weights or shipped_weights(options.method)
    spec, method = load_method(
        options.method,
        weights=weights,
        network_mm=options.network_mm,
        seed=options.seed,
        device=device,
    )
    steps = steps_of(spec, options)
    if steps:
        from pmrpipe.methods.refine import Refined, Refinement

        plan = Refinement(steps=steps, elastic=options.refine_elastic)
        method = Refined(method, plan.down_to(options.refine_mm))
    return Ready(method, device, _identity(options, spec, weights, steps))


def steps_of(spec: MethodSpec, options: Rounds) -> int:
    """Most steps a level of instance optimisation; InputError where a method cannot be refined."""
    steps = (spec.refine or 0) if options.refine is None else options.refine
    if steps and not spec.learned:
        problem = f"`{spec.name}` is no network"
        raise InputError("template.refine", problem, "refine: 0, or a learned method")
    return steps


def _identity(options: TemplateMaking, spec: MethodSpec, weights: Path | None, steps: int) -> str:
    from pmrpipe.methods.weights import WEIGHTS

    said = {
        "method": spec.model_dump(mode="json"),
        "weights": sha256(weights / WEIGHTS) if spec.learned and weights else None,
        "network_mm": options.network_mm,
        "refine": [steps, options.refine_mm, options.refine_elastic],
        "seed": options.seed,
        "source": digest("pmrpipe.methods.refine", *spec.modules()) if _ours(spec) else None,
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _ours(spec: MethodSpec) -> bool:
    return all(module.startswith("pmrpipe.") for module in spec.modules())
