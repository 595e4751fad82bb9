"""Options that several kinds of job share: type, range and description."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

DEFAULT_SPACE = "MNI152NLin2009aSym"


class Options(BaseModel):
    """Base of every kind of job: unknown names are refused, values stay as they are."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_yes_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """YAML's `yes` and `on` would count as 1."""
        if _holds_truth(value) and not _takes_truth(cls, info.field_name or ""):
            raise ValueError("takes neither true nor false, nor YAML's yes, no, on and off")
        return value


def _holds_truth(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_truth, value.values()))
    return isinstance(value, bool) or (
        isinstance(value, list | tuple) and any(map(_holds_truth, value))
    )


@cache
def _takes_truth(model: type[BaseModel], name: str) -> bool:
    """Whether a field holds a truth value, or sections whose fields are checked themselves."""

    def parts(annotation: Any) -> list[Any]:
        return [annotation, *(p for inner in get_args(annotation) for p in parts(inner))]

    return any(
        part in (bool, Any) or (isinstance(part, type) and issubclass(part, BaseModel))
        for part in parts(model.model_fields[name].annotation)
    )


def default(model: type[BaseModel], name: str) -> Any:
    """The default of a model's field, for another model that has the same option."""
    return model.model_fields[name].get_default(call_default_factory=True)


def _no_single_sample(count: int) -> int:
    if count == 1:
        raise ValueError("one sample has no deviation: give at least 2, or 0 for none")
    return count


_AXES = r"^[RL][AP][SI]$|^[RL][SI][AP]$|^[AP][RL][SI]$|^[AP][SI][RL]$|^[SI][RL][AP]$|^[SI][AP][RL]$"

Contrast = Literal["T1w", "T2w", "PDw", "FLAIR", "inplaneT2"]
# ITK holds a seed in 32 bits with their sign.
MOST_SEEDS = 2**31
Seed = Annotated[int, Field(ge=0, lt=MOST_SEEDS, description="seed of what is drawn")]
Threads = Annotated[int, Field(ge=1, description="threads of the job")]
GridMm = Annotated[float, Field(gt=0, le=8, description="voxel size of the template grid, mm")]
SpaceName = Annotated[
    str,
    Field(
        description="template space: a name that comes with pmrpipe, a YAML, or the image of a "
        "brain (docs/how-to/space.md)"
    ),
]
NetworkMm = Annotated[
    float | None,
    Field(gt=0, le=32, description="voxel size inside the networks, mm; null: the method's own"),
]
Device = Annotated[
    Literal["auto", "cpu", "cuda"],
    Field(description="where networks run; auto takes a GPU where there is one"),
]
Devices = Annotated[
    int, Field(ge=1, description="GPUs that train one network together; on a CPU, processes")
]
Orientation = Annotated[
    str | None, Field(pattern=_AXES, description="orientation code where headers have none")
]
LabelInterpolation = Annotated[
    Literal["nearest", "genericLabel"], Field(description="how label maps are resampled")
]
RefineMm = Annotated[
    float,
    Field(
        gt=0,
        description="finest level of instance optimisation, mm: 2 is faster and smoother, 1 more "
        "accurate; below 1 a last level at the grid's own voxels, if they are as fine; levels "
        "finer than 2 mm take a quarter of the steps",
    ),
]
RefineElastic = Annotated[
    float,
    Field(
        ge=0,
        le=4,
        description="how smooth instance optimisation stays: deviation of the Gaussian that "
        "smooths the displacements after each step, in their voxels, which are twice as wide as "
        "those of the level; 0.5 overlaps more and is rougher",
    ),
]
FinetuneRate = Annotated[
    float,
    Field(gt=0, description="learning rate of Adam when weights are tuned to a pair"),
]
Samples = Annotated[
    int,
    Field(
        ge=0,
        description="samples from which pairs get a map of the displacement's standard deviation "
        "in mm, where networks are probabilistic or pairs optimised; 0: none, else at least 2",
    ),
    AfterValidator(_no_single_sample),
]


class Drawing(Options):
    """How a page is drawn."""

    threads: Annotated[int, Field(ge=1, description="processes that draw")] = 1
