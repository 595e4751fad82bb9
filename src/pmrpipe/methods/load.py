"""Methods ready to use: built from their specification, with weights where they need some."""

from __future__ import annotations

from importlib.resources import files as package_files
from pathlib import Path
from typing import TYPE_CHECKING

from pmrpipe.base.errors import InputError
from pmrpipe.base.seed import SEED
from pmrpipe.methods.components import construct, look_beside, resolve, takes
from pmrpipe.methods.protocols import Method
from pmrpipe.methods.spec import MethodSpec, spec
from pmrpipe.methods.weights import WEIGHTS, load_weights

if TYPE_CHECKING:
    from pmrpipe.methods.network_method import NetworkMethod


def weights_folder(place: str, name: str) -> Path:
    """The folder that a study names, or that of the package for `shipped`."""
    if place != "shipped":
        return Path(place).expanduser()
    folder = shipped_weights(name)
    if folder is None:
        raise InputError(name, "has no shipped weights", "train it, or name a folder")
    return folder


def shipped_folder(name: str) -> Path:
    """Where weights that come with the package lie, if it has some for that method."""
    return Path(str(package_files("pmrpipe") / "data" / "weights" / name))


def shipped_weights(name: str) -> Path | None:
    """The same folder for a method that has some, else None."""
    folder = shipped_folder(name)
    return folder if (folder / WEIGHTS).exists() else None


def build(spec: MethodSpec, network_mm: float | None = None, seed: int = SEED) -> Method:
    """Construct a method from its parts; a learned one gets its initial weights from `seed`.

    Raises
    ------
    InputError : a part that there is not, or that does not take its arguments
    """
    if spec.learned:
        return build_network(spec, network_mm, seed)
    _find_modules(spec)
    drawn = {"seed": seed} if takes(resolve(spec.component), "seed") else {}
    return construct(spec.component, {**drawn, **spec.parameters})


def build_network(
    spec: MethodSpec, network_mm: float | None = None, seed: int = SEED
) -> NetworkMethod:
    """Construct a learned method, for training too; InputError as for `build`."""
    import torch

    from pmrpipe.methods.network_method import NetworkMethod

    _find_modules(spec)
    size = {"network_mm": network_mm or spec.network_mm}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        method = construct(spec.component, {**size, **spec.parameters})
    if not isinstance(method, NetworkMethod):
        remedy = "derive it from NetworkMethod, or write `kind: classical`"
        raise InputError(spec.component, "is no learned method", remedy)
    for stage in spec.schedule.stages:  # All of them are tried; in use it is as in the last.
        method.enter(stage)
    method.quantiles = spec.input.quantiles
    method.crosses = spec.teacher is not None and any(spec.teacher.shown)
    return method


def _find_modules(spec: MethodSpec) -> None:
    if spec.folder is not None:
        look_beside(spec.folder, spec.modules())


def load_method(
    name: str,
    *,
    weights: Path | None = None,
    network_mm: float | None = None,
    seed: int = SEED,
    device: str = "cpu",
) -> tuple[MethodSpec, Method]:
    """A method ready to register; a learned one from the weights in folder `weights`."""
    chosen = spec(name)
    if not chosen.learned:
        return chosen, build(chosen, seed=seed)
    if weights is None:
        raise InputError(name, "needs weights", "train it, or name a folder with --weights")
    method = build_network(chosen, network_mm)
    load_weights(method, chosen, Path(weights))
    return chosen, method.to(device).eval()
