"""The method of a request, ready to register, and what register.json says of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_json, sha256
from pmrpipe.native.request import Request, Say
from pmrpipe.study.options.common import default
from pmrpipe.study.options.registration import Registration
from pmrpipe.study.options.two_scans import TwoScans

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from pmrpipe.images.volume import Grid
    from pmrpipe.methods.lesions import Lesions
    from pmrpipe.methods.protocols import Method
    from pmrpipe.methods.spec import MethodSpec

# Where none is named: of two scans of one contrast, and of two.
DEFAULT, _OF_CONTRASTS = "pmr-plus", "pmr-plus-contrasts"
# `refine_elastic` of --accurate.
ACCURATE = 0.5
Deviation = Callable[[Sequence["Tensor"], "Grid", "Lesions"], "np.ndarray"]


@dataclass(frozen=True)
class ReadyMethod:
    """A method with its weights and refinement.

    deviation : gives the displacement's standard deviation, mm, (X, Y, Z) on the template grid,
        of images (1, 1, X, Y, Z) and lesions there; None where no map is asked for
    facts : what register.json says of it
    """

    method: Method
    spec: MethodSpec
    deviation: Deviation | None
    facts: dict[str, Any]


def ready_method(request: Request, say: Say) -> ReadyMethod:
    """Load, refine and sample as the request says.

    Raises
    ------
    InputError : no such method, weights that are missing or do not fit, refinement or tuning of
        what is no network, both of them, uncertainty of what has no posterior
    """
    from pmrpipe.methods.load import load_method

    options = request.options
    contrasts = {scan.weighting for scan in request.scans.values()}
    usual = DEFAULT if len(contrasts) == 1 else _OF_CONTRASTS
    name, weights, network_mm = _named(options.method, options.weights, usual)
    spec, method = load_method(
        name, weights=weights, network_mm=network_mm, seed=options.seed, device=request.device()
    )
    facts = {"method": spec.name, "citation": spec.citation, **_trained(weights, network_mm)}
    method = _optimised(method, spec, options, facts, say)
    deviation = None
    if options.uncertainty:
        deviation = _deviation(method, spec, options, facts, len(contrasts) == 1)
    return ReadyMethod(method, spec, deviation, facts)


def _named(
    name: str | None, weights: Path | None, usual: str
) -> tuple[str, Path | None, float | None]:
    """Name of the method, its weights and the voxel size that they were trained at."""
    from pmrpipe.methods.load import shipped_weights
    from pmrpipe.methods.weights import MODEL

    if weights is None:
        name = name or usual
        weights = shipped_weights(name)
    if weights is None:
        assert name is not None
        return name, None, None
    model = read_json(weights / MODEL)
    if not isinstance(model, dict):
        raise InputError(weights / MODEL, "is no model.json of pmrpipe", "train the method again")
    name = name or model.get("method")
    if not isinstance(name, str):
        raise InputError(weights / MODEL, "does not name its `method`", "say it by --method")
    return name, weights, model.get("network_mm")


def _trained(weights: Path | None, network_mm: float | None) -> dict[str, Any]:
    from pmrpipe.methods.weights import WEIGHTS

    if weights is None:
        return {}
    return {"weights_sha256": sha256(weights / WEIGHTS), "network_mm": network_mm}


def _optimised(
    method: Method, spec: MethodSpec, options: TwoScans, facts: dict[str, Any], say: Say
) -> Method:
    """The method followed by the instance optimisation that is asked for, if any; facts say it.

    Where weights are tuned to the pair, the method's own refinement of fields is left out.
    """
    own = 0 if options.finetune else spec.refine
    refine = own if options.refine is None else options.refine
    elastic = options.refine_elastic
    if elastic is None:
        elastic = default(Registration, "refine_elastic")
    if options.accurate:
        _require_accurate(options, spec, refine)
        refine, elastic = 2 * refine, ACCURATE
    if refine and options.finetune:
        problem = "both optimise the pair: the field, and the weights"
        raise InputError("finetune", problem, "give it without --refine, or --refine alone")
    if refine:
        facts |= {"refine": refine, "refine_mm": options.refine_mm, "refine_elastic": elastic}
        return _refined(method, spec, refine, options.refine_mm, elastic, say)
    if options.finetune:
        facts |= {"finetune": options.finetune, "finetune_rate": options.finetune_rate}
        return _finetuned(method, spec, options, facts, say)
    return method


def _require_accurate(options: TwoScans, spec: MethodSpec, refine: int) -> None:
    """InputError where `accurate` has nothing to change, or another option says otherwise."""
    if not refine:
        problem = "is for instance optimisation, and there is none"
        raise InputError("accurate", problem, f"leave it out: {spec.name} is as it is")
    if options.refine_elastic not in (None, ACCURATE):
        problem = f"means refine_elastic {ACCURATE}, and {options.refine_elastic} is given"
        raise InputError("accurate", problem, "give one of both")


def _finetuned(
    method: Method, spec: MethodSpec, options: TwoScans, facts: dict[str, Any], say: Say
) -> Method:
    from pmrpipe.methods.finetune import Finetuning, Objectives, finetuned

    def tell(step: int, steps: int) -> None:
        if step % max(1, steps // 4) == 0:
            say(f"tuning weights: {step} of {steps} steps")

    def done(objectives: Objectives) -> None:
        facts["finetune_objective"] = list(objectives)

    return finetuned(spec, method, Finetuning(options.finetune, options.finetune_rate), tell, done)


def _refined(
    method: Method, spec: MethodSpec, steps: int, finest: float, elastic: float, say: Say
) -> Method:
    from pmrpipe.methods.protocols import RefinesItself
    from pmrpipe.methods.refine import Refined, Refinement

    if not spec.learned:
        raise InputError(spec.name, "is no network", "--refine is for learned methods")
    if isinstance(method, RefinesItself):
        return method.refined(steps, finest)

    def tell(step: int, most: int) -> None:
        if step % max(1, most // 4) == 0:
            say(f"refining: {step} of at most {most} steps")

    return Refined(method, Refinement(steps=steps, elastic=elastic).down_to(finest), tell)


def _deviation(
    method: Method, spec: MethodSpec, options: TwoScans, facts: dict[str, Any], alike: bool
) -> Deviation:
    """What maps the uncertainty; facts say of how many samples, and by which factor."""
    from pmrpipe.methods.protocols import Probabilistic
    from pmrpipe.stages.register.uncertainty import deviation_map, factor_of

    if not isinstance(method, Probabilistic):
        problem = "has no posterior" + (" when weights are tuned" if spec.posterior else "")
        raise InputError(spec.name, problem, "take a network, or --refine 20")
    factor, samples = factor_of(method, spec), options.uncertainty
    facts |= {"uncertainty_samples": samples, "uncertainty_factor": factor}

    def deviation(images: Sequence[Tensor], grid: Grid, lesions: Lesions) -> np.ndarray:
        return factor * deviation_map(method, images, grid, samples, options.seed, alike, lesions)

    return deviation
