"""Flags of a verb, derived from the options of its kind of job."""

from __future__ import annotations

import os
from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pmrpipe.base.errors import InputError
from pmrpipe.base.outputs import is_one_of, require_no_input

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

    from pmrpipe.study.options.flags import Flag

# How the arguments are named that say where something is written.
_OUTPUTS = ("out", "output", "preproc")
Model = TypeVar("Model", bound="BaseModel")


def path_argument(parser: ArgumentParser, *names: str, help: str, **more: Any) -> None:
    """Add an argument that is a path."""
    parser.add_argument(*names, type=said_path, help=help, **more)


def said_path(text: str) -> Path:
    """A path as argparse reads it: an empty one, of a variable not set, would be this folder."""
    if not text.strip():
        raise ArgumentTypeError("is an empty path")
    return Path(text)


def add(
    parser: ArgumentParser,
    model: type[BaseModel],
    names: Collection[str] | None = None,
    either: Collection[str] = (),
) -> None:
    """Add a flag for every field of `model`, or for those of `names` alone.

    One of `either` must be said, and no more.
    """
    from pmrpipe.study.options.flags import flags

    group = parser.add_mutually_exclusive_group(required=True) if either else parser
    for flag in flags(model):
        if names is not None and flag.field not in names:
            continue
        place = group if flag.field in either else parser
        place.add_argument(flag.word, **_how(flag))


def read(namespace: Namespace, model: type[Model]) -> Model:
    """The options that were given, checked.

    Raises
    ------
    InputError : a value of another type, outside its range or not among its choices
    """
    from pydantic import ValidationError

    from pmrpipe.study.options.flags import flags

    known = {flag.field: flag for flag in flags(model)}
    for flag in known.values():
        if flag.path and vars(namespace).get(flag.field) == "":
            raise InputError(flag.word, "is an empty path", "name one, or leave it out")
    values = {
        name: _items(known[name], value) for name, value in vars(namespace).items() if name in known
    }
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _refused(error, known) from None


def outputs(namespace: Namespace) -> dict[str, Path]:
    """The paths that a verb was told to write, by the names of their arguments."""
    return {
        name: value
        for name, value in vars(namespace).items()
        if isinstance(value, Path) and _is_output(name)
    }


def add_overwrite(parser: ArgumentParser) -> None:
    """Let a verb that writes be told `--overwrite`; those whose options say it are left alone."""
    names = {action.dest for action in parser._actions}
    if any(map(_is_output, names)) and "overwrite" not in names:
        text = "replace files that are there; those of a study's results are replaced always"
        parser.add_argument("--overwrite", dest="replace", action="store_true", help=text)


def _is_output(name: str) -> bool:
    return name in _OUTPUTS or name.startswith("out_") or name.endswith("_out")


def require_separate(namespace: Namespace) -> None:
    """Raises InputError where an output is one of the files that are read, or another output.

    Verbs whose options say `overwrite` check it themselves.
    """
    if "overwrite" in namespace:
        return
    written = outputs(namespace)
    others = {name: value for name, value in vars(namespace).items() if name not in written}
    read_ = [path for value in others.values() for path in _files(value)]
    for name, path in written.items():
        require_no_input(path, read_, "choose another output")
        beside = [other for key, other in written.items() if key != name]
        if is_one_of(path, beside):
            raise InputError(path, "is named for two outputs", "choose another one")
    if written and not namespace.replace:
        _require_free(written.values())


def _require_free(written: Iterable[Path]) -> None:
    """Raises InputError where an output is a file that is there, outside a study's results."""
    for path in written:
        if os.path.lexists(path) and not path.is_dir():
            from pmrpipe.stages.cohort.results_folder import lies_in_own_dataset

            if not lies_in_own_dataset(path):
                problem = "is there already, and the output would take its place"
                raise InputError(path, problem, "choose another output, or say --overwrite")


def _files(value: Any) -> list[str | Path]:
    """What of an argument's value are files that exist."""
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, str | Path) and os.path.isfile(one)]


def _how(flag: Flag) -> dict[str, Any]:
    """Arguments of argparse; what is not given is left to the model."""
    text = flag.description
    if flag.default not in (None, False, (), {}):
        several = isinstance(flag.default, tuple)
        text += f" (default: {' '.join(flag.default) if several else flag.default})"
    how: dict[str, Any] = {"default": SUPPRESS, "help": text.replace("%", "%%")}
    if flag.kind == "switch":
        return how | {"action": "store_true", "default": False}
    if flag.choices:
        how["choices"] = flag.choices
    if flag.kind in ("list", "mapping"):
        how["nargs"] = "+" if flag.required else "*"
        how["metavar"] = "KEY=VALUE" if flag.kind == "mapping" else flag.field.upper()
    return how | {"required": flag.required}


def _items(flag: Flag, value: Any) -> Any:
    if flag.kind != "mapping":
        return value
    pairs = [item.partition("=") for item in value]
    for item, (_, separator, _) in zip(value, pairs, strict=True):
        if not separator:
            raise InputError(flag.word, f"{item} is not KEY=VALUE", "correct it")
    return {key: text for key, _, text in pairs}


def _refused(error: ValidationError, known: dict[str, Flag]) -> InputError:
    first = error.errors()[0]
    word = known[str(first["loc"][0])].word
    problem = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return InputError(word, f"{problem}, got {first['input']}", "see --help")
