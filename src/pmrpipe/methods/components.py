"""Parts by name: `component: module:Class` in a YAML, built with the other keys as arguments."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pmrpipe.base.errors import InputError
from pmrpipe.base.sources import Sources

KEY = "component"


def look_beside(folder: Path, modules: Iterable[str]) -> None:
    """Let Python find those of the modules that lie in `folder`, and what they import there.

    They come before others of the same name, as beside a script.

    Raises
    ------
    InputError : another module of that name has been loaded already
    """
    files = {name: Sources((folder,)).path(name) for name in modules}
    beside = {name: file for name, file in files.items() if file and folder in file.parents}
    for name, file in beside.items():
        other = getattr(sys.modules.get(name), "__file__", None)
        if other is not None and Path(other).resolve() != file.resolve():
            problem = f"another module `{name}` is loaded from {other}"
            raise InputError(file, problem, "give it a name that nothing else has")
    if beside and str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()


def resolve(component: str) -> Any:
    """The class or function `module:name`; InputError when there is none."""
    module, _, name = component.partition(":")
    remedy = "write `component: module:Class`, of a module beside the YAML or installed"
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name is not None and not f"{module}.".startswith(f"{error.name}."):
            raise  # The module is there, and lacks one that it imports itself.
        raise InputError(component, f"there is no module `{module}`", remedy) from None
    except (AttributeError, ValueError):
        problem = f"there is no `{name}` in the module `{module}`"
        raise InputError(component, problem, remedy) from None


def construct(component: str, arguments: Mapping[str, Any]) -> Any:
    """Build `component` with `arguments`, whose own parts are built first.

    Raises
    ------
    InputError : there is no such component, or it does not take these arguments
    """
    part = resolve(component)
    built = {name: assembled(value) for name, value in arguments.items()}
    _check(component, inspect.signature(part), built)
    return part(**built)


def _check(component: str, signature: inspect.Signature, arguments: Mapping[str, Any]) -> None:
    try:
        signature.bind(**arguments)
    except TypeError as error:
        names = ", ".join(signature.parameters)
        raise InputError(component, str(error), f"its arguments: {names}") from None
    for name, value in arguments.items():
        parameter = signature.parameters.get(name)
        if isinstance(value, Mapping) and parameter is not None and not _open(parameter):
            remedy = f"write `{name}: {{component: module:Class, ...}}`"
            raise InputError(component, f"`{name}` names no component", remedy)


def _open(parameter: inspect.Parameter) -> bool:
    """Whether a plain mapping may be meant, as far as the annotation tells."""
    annotation = str(parameter.annotation)
    return parameter.annotation is parameter.empty or any(
        word in annotation for word in ("Any", "object", "dict", "Mapping")
    )


def assembled(value: Any) -> Any:
    """`value` with every mapping that names a component replaced by the component, at any depth."""
    if isinstance(value, Mapping):
        if KEY in value:
            return construct(value[KEY], {k: v for k, v in value.items() if k != KEY})
        return {name: assembled(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [assembled(item) for item in value]
    return value


def named(value: Any) -> Iterator[str]:
    """The components that `value` names, at any depth, in the order of the text."""
    if isinstance(value, Mapping):
        if KEY in value:
            yield str(value[KEY])
        for name, item in value.items():
            if name != KEY:
                yield from named(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from named(item)


def takes(component: Any, argument: str) -> bool:
    """Whether a class or function has an argument of that name."""
    return argument in inspect.signature(component).parameters
