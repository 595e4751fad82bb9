"""Methods by name: their specification, read without torch, and their construction."""

from __future__ import annotations

import importlib
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pmrpipe.base.errors import InputError


class Augmentation(BaseModel):
    """Random changes of both training images alike."""

    model_config = ConfigDict(extra="forbid")
    flip: bool = Field(False, description="mirror left and right in half of the steps")
    warp_mm: float = Field(0.0, ge=0, description="deviation of a smooth random warp of each, mm")


class Schedule(BaseModel):
    """How a network is trained."""

    model_config = ConfigDict(extra="forbid")
    learning_rate: float = Field(1e-3, gt=0, description="of Adam (0.9, 0.999)")
    anneal: bool = Field(
        False, description="the learning rate falls to 0 along half a cosine over the training"
    )
    weight_decay: float = Field(0.0, ge=0)
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    max_steps: int = Field(1000, ge=1, description="optimiser steps; batch 1")
    max_minutes: float | None = Field(None, gt=0, description="wall-clock limit instead of steps")
    validate_every: int = Field(100, ge=1, description="steps between validations and checkpoints")
    symmetric: bool = Field(False, description="every step sees its pair both ways, a batch of 2")
    augmentation: Augmentation = Field(default_factory=Augmentation)


class MethodSpec(BaseModel):
    """One method, as its YAML states it."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=r"^[a-z0-9-]+$")
    title: str
    citation: str
    kind: Literal["learned", "classical"]
    posterior: bool = Field(False, description="it can say how sure it is: `uncertainty: K`")
    levels: bool = Field(
        False, description="several levels contribute, and the report shows each one alone"
    )
    slow: bool = Field(False, description="minutes a pair: every pair is a job of its own")
    component: str = Field(description="module:class that is built")
    parameters: dict[str, Any] = Field(default_factory=dict, description="arguments of the class")
    network_mm: float | None = Field(None, gt=0, description="voxel size inside the network")
    refine: int = Field(
        0, ge=0, description="steps a level of instance optimisation that `pmrpipe register` adds"
    )
    uncertainty_factor: float = Field(
        1.0, gt=0, description="by which its uncertainty is multiplied: measured on known warps"
    )
    schedule: Schedule = Field(default_factory=Schedule)

    @property
    def learned(self) -> bool:
        return self.kind == "learned"

    def modules(self) -> list[str]:
        """Modules whose sources the method runs."""
        return [self.component.partition(":")[0]]


def _folder() -> Path:
    return Path(str(package_files("pmrpipe") / "data" / "methods"))


def names() -> list[str]:
    """Names of the shipped methods."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def spec_path(name: str) -> Path:
    """YAML of a shipped method, or the user's own; InputError when there is none."""
    shipped = _folder() / f"{name}.yaml"
    path = shipped if shipped.exists() else Path(name).expanduser()
    if path.suffix not in (".yaml", ".yml") or not path.exists():
        problem = "is neither a method of pmrpipe nor a YAML file"
        raise InputError(name, problem, f"known: {', '.join(names())}")
    return path


def weights_folder(given: str, name: str) -> Path:
    """The folder that a study names, or that of the package for `shipped`."""
    if given != "shipped":
        return Path(given).expanduser()
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
    return folder if (folder / "weights.safetensors").exists() else None


def spec(name: str) -> MethodSpec:
    """Read and check a method's specification."""
    path = spec_path(name)
    try:
        return MethodSpec.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else {"msg": str(error)}
        key = ".".join(str(part) for part in first.get("loc", ()))  # type: ignore[union-attr]
        raise InputError(path, f"key `{key}`: {first['msg']}", "see docs/methods.md") from None


def build(found: MethodSpec, network_mm: float | None = None, seed: int = 2019) -> Any:
    """Construct a method; a learned one gets its initial weights from `seed`."""
    module, _, name = found.component.partition(":")
    component = getattr(importlib.import_module(module), name)
    if not found.learned:
        return (
            component(**found.parameters)
            if name == "AffineOnly"
            else component(seed=seed, **found.parameters)
        )
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return component(network_mm=network_mm or found.network_mm, **found.parameters)


def load_method(
    name: str,
    *,
    weights: Path | None = None,
    network_mm: float | None = None,
    seed: int = 2019,
    device: str = "cpu",
) -> tuple[MethodSpec, Any]:
    """A method ready to register; a learned one from the weights in folder `weights`."""
    found = spec(name)
    if not found.learned:
        return found, build(found, seed=seed)
    if weights is None:
        raise InputError(name, "needs weights", "train it, or name a folder with --weights")
    from pmrpipe.methods.weights import load_weights

    method = build(found, network_mm)
    load_weights(method, found, Path(weights))
    return found, method.to(device).eval()
