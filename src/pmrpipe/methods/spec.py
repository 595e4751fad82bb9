"""What a method is, as its YAML says it: read by name, without torch."""

from __future__ import annotations

import difflib
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from pmrpipe.base.errors import InputError
from pmrpipe.methods.components import named


class Augmentation(BaseModel):
    """Random changes of training images: the flip of both alike, the others of each alone."""

    model_config = ConfigDict(extra="forbid")
    flip: bool = Field(False, description="mirror left and right in half of the steps")
    warp_mm: float = Field(0.0, ge=0, description="deviation of a smooth random warp of each, mm")
    affine: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="deviation of all twelve entries of a random affine of each, in units of half "
        "an image's edge",
    )
    contrast: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of images whose contrast becomes a random one before the network sees "
        "them; the similarity compares them as they were, a teacher has seen them so",
    )

    @property
    def warps(self) -> bool:
        """Whether an image is no longer where it was."""
        return bool(self.warp_mm or self.affine)


class Input(BaseModel):
    """How a learned method is shown the chain's images."""

    model_config = ConfigDict(extra="forbid")
    quantiles: tuple[float, float] | None = Field(
        None,
        description="quantiles of the brain's intensities that become 0 and 1; null: whitened, as "
        "they are",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Input:
        if self.quantiles is not None and not 0 <= self.quantiles[0] < self.quantiles[1] <= 1:
            raise ValueError("two quantiles lie between 0 and 1, the lower one first")
        return self


class Stage(BaseModel):
    """What is trained from some step on; what it leaves out is as the method's parts say."""

    model_config = ConfigDict(extra="forbid")
    begin: float = Field(
        0.0, ge=0, description="first step; a number below 1 is a part of the whole training"
    )
    steps: int | None = Field(
        None, ge=1, description="so many of the registration's steps; null: all of them"
    )
    regularisers: list[str] | None = Field(
        None, description="names of those that count; null: all of them"
    )
    coarser: int = Field(1, ge=1, description="by which the images' sides are divided")

    def reached(self, step: int, done: float) -> bool:
        """Whether it has begun; `done` is the part of the training that lies behind."""
        return done >= self.begin if self.begin < 1 else step >= self.begin


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
    patch: int | None = Field(
        None,
        ge=4,
        description="edge, in voxels of the network's grid, of the random cube that "
        "each step sees; null: whole images",
    )
    stages: list[Stage] = Field(
        default_factory=list, description="in their order; none: the whole method from the start"
    )

    @model_validator(mode="after")
    def _stages_begin_at_once(self) -> Schedule:
        if self.stages and self.stages[0].begin:
            raise ValueError("the first of `stages` begins at 0")
        return self

    @property
    def shaped_by_length(self) -> bool:
        """Whether what step n does depends on the length of the whole training."""
        return self.anneal or any(0 < stage.begin < 1 for stage in self.stages)

    def stage(self, step: int, done: float) -> int | None:
        """Which of the stages it is; `done` is the part of the training that lies behind."""
        reached = [n for n, stage in enumerate(self.stages) if stage.reached(step, done)]
        return reached[-1] if reached else None


class Teacher(BaseModel):
    """Another method whose results on training pairs a network learns from."""

    model_config = ConfigDict(extra="forbid")
    method: str = Field(
        description="name or YAML file of a method that is ready: a classical one, or a network "
        "whose weights are shipped or named by the study"
    )
    pairs: int = Field(100, ge=1, description="ordered pairs of training scans, at most")
    moving: str | None = Field(
        None,
        description="contrast of the moving image that the network is shown, of the session whose "
        "training scan the teacher saw: `inputs: {also: [T2w]}`; null: the training scan",
    )
    fixed: str | None = Field(None, description="the same of the fixed image")

    @property
    def shown(self) -> tuple[str | None, str | None]:
        """Contrasts of the moving and of the fixed image that the network is shown."""
        return self.moving, self.fixed


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
    deforms: bool = Field(True, description="False: what the affine normalisation alone gives")
    slow: bool = Field(False, description="minutes a pair: every pair is a job of its own")
    component: str = Field(pattern=r"^[\w.]+:\w+$", description="module:class that is built")
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        description="arguments of the class; a mapping with a key `component: module:class` is a "
        "part, built with its other keys as arguments",
    )
    network_mm: float | None = Field(None, gt=0, description="voxel size inside the network")
    refine: int = Field(
        0, ge=0, description="steps a level of instance optimisation that `pmrpipe register` adds"
    )
    refines_itself: bool = Field(
        False, description="its instance optimisation is its own, which has no posterior"
    )
    uncertainty_factor: float = Field(
        1.0, gt=0, description="by which its uncertainty is multiplied: measured on known warps"
    )
    input: Input = Field(default_factory=Input)
    schedule: Schedule = Field(default_factory=Schedule)
    shares: str | None = Field(
        None,
        description="the method whose weights it uses, of the same networks: it is never trained",
    )
    teacher: Teacher | None = Field(None, description="whose results it learns from")
    _folder: Path | None = PrivateAttr(None)

    @property
    def folder(self) -> Path | None:
        """Folder of the YAML, where modules of one's own are looked for first."""
        return self._folder

    @model_validator(mode="after")
    def _can_be_taught(self) -> MethodSpec:
        if self.shares is not None and (self.kind != "learned" or self.teacher is not None):
            raise ValueError("`shares` is for learned methods alone, and takes no `teacher`")
        if self.teacher is None:
            return self
        if self.kind != "learned":
            raise ValueError("`teacher` is for learned methods alone")
        if self.schedule.augmentation.warps:
            raise ValueError(
                "with a `teacher`, `warp_mm` and `affine` of `schedule.augmentation` must be 0: "
                "its targets are of the images where they are"
            )
        return self

    @property
    def owner(self) -> str:
        """Name of the method whose weights it uses, most often its own."""
        return self.shares or self.name

    @property
    def learned(self) -> bool:
        return self.kind == "learned"

    def modules(self) -> list[str]:
        """Modules whose sources the method runs: its class's, and those of all its parts."""
        components = [self.component, *named(self.parameters)]
        return list(dict.fromkeys(name.partition(":")[0] for name in components))


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
        near = difflib.get_close_matches(name.lower(), names(), 3)
        remedy = f"is it {' or '.join(near)}?" if near else "see `pmrpipe methods`"
        raise InputError(name, problem, remedy)
    return path


def spec(name: str) -> MethodSpec:
    """Read and check a method's specification."""
    path = spec_path(name)
    try:
        method = MethodSpec.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else {"msg": str(error)}
        key = ".".join(str(part) for part in first.get("loc", ()))  # type: ignore[union-attr]
        raise InputError(path, f"key `{key}`: {first['msg']}", "see docs/methods.md") from None
    method._folder = path.resolve().parent
    return method
