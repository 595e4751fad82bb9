"""Flags of a kind of job, and the words of a shell line that say its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Kind = Literal["value", "switch", "list", "mapping"]


@dataclass(frozen=True)
class Flag:
    """One option as a flag.

    kind : a `value`, a `switch` without one, a `list` of values, or a `mapping` as KEY=VALUE
    choices : the values that are allowed, where they can be listed
    path : whether its value is one
    """

    field: str
    kind: Kind
    required: bool
    description: str
    choices: tuple[str, ...] = ()
    default: Any = None
    path: bool = False

    @property
    def word(self) -> str:
        """--field-name."""
        return "--" + self.field.replace("_", "-")


def flags(model: type[BaseModel]) -> list[Flag]:
    """The flags of a kind of job, in the order of its fields."""
    return [_flag(name, info) for name, info in model.model_fields.items()]


def words(options: BaseModel) -> list[str]:
    """Words of a command line that say these options, in the order of their fields.

    Everything is said, defaults too, except what is None, False or empty.
    """
    said = [_words(flag, getattr(options, flag.field)) for flag in flags(type(options))]
    return [word for some in said for word in some]


def _words(flag: Flag, value: Any) -> list[str]:
    if value is None or value is False or value == () or value == {}:
        return []
    if flag.kind == "switch":
        return [flag.word]
    if isinstance(value, Mapping):
        return [flag.word, *(f"{key}={item}" for key, item in value.items())]
    return [flag.word, *map(str, value)] if flag.kind == "list" else [flag.word, str(value)]


def _flag(name: str, info: FieldInfo) -> Flag:
    annotation = _without_none(info.annotation)
    origin = get_origin(annotation)
    kinds: dict[Any, Kind] = {tuple: "list", list: "list", dict: "mapping"}
    kind = "switch" if annotation is bool else kinds.get(origin, "value")
    choices = get_args(annotation) if origin is Literal else ()
    required = info.is_required()
    default = None if required else info.get_default(call_default_factory=True)
    return Flag(name, kind, required, info.description or "", choices, default, annotation is Path)


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    (inner,) = (part for part in get_args(annotation) if part is not NoneType)
    return inner
