"""Is a configuration file sound YAML, each key said once? Told with file and line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pmrpipe.base.errors import InputError


def require_sound(path: str | os.PathLike[str]) -> None:
    """Check the text of a YAML file, and not what its keys mean.

    Raises
    ------
    InputError : it cannot be read, is not UTF-8, is no YAML, holds no keys, or says one twice,
        of which YAML would take the last
    """
    import yaml

    try:
        node = yaml.compose(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(path, "no such file") from None
    except UnicodeDecodeError:
        raise InputError(path, "is not written in UTF-8", "save it as UTF-8") from None
    except OSError as error:
        raise InputError(path, f"cannot be read ({error})") from None
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", error)
        where = f"line {mark.line + 1}: " if mark else ""
        remedy = "correct it: blanks in front and no tabulators, brackets and quotes closed"
        raise InputError(path, f"is no YAML: {where}{problem}", remedy) from None
    if not isinstance(node, yaml.MappingNode):
        raise InputError(path, "holds no keys", "write KEY: VALUE, line by line")
    for key, line in _again(node):
        raise InputError(path, f"says `{key}` again in line {line}", "keep one of them")


def _again(node: Any) -> Iterator[tuple[str, int]]:
    """Keys that a mapping has already, each with its line."""
    import yaml

    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _again(item)
    if isinstance(node, yaml.MappingNode):
        names: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in names and name != "<<":
                yield name, key.start_mark.line + 1
            names.add(name)
            yield from _again(value)
