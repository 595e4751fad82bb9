"""Is a configuration file sound YAML or JSON, each key said once? Told with file and line."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pmrpipe.base.errors import InputError


def require_sound(path: str | os.PathLike[str]) -> None:
    """Check the text of a YAML or JSON file, and not what its keys mean.

    Raises
    ------
    InputError : it cannot be read, is not UTF-8, is no YAML, holds a value that YAML cannot make,
        holds no keys, or says one twice, of which YAML would take the last
    """
    import yaml

    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(path, "no such file", "correct the path of the configuration") from None
    except IsADirectoryError:
        raise InputError(path, "is a folder", "name the file of the configuration") from None
    except UnicodeDecodeError:
        raise InputError(path, "is not written in UTF-8", "save it as UTF-8") from None
    except OSError as error:
        raise InputError(path, f"cannot be read ({error})") from None
    # As Snakemake reads it: whatever the file's name says, JSON comes first.
    if _is_json(path, text):
        return
    try:
        node = yaml.compose(text)
        _require_keys_once(path, node)
        # As Snakemake makes them: no objects of Python, no 31st of February.
        yaml.constructor.SafeConstructor().construct_document(node)
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", error)
        where = f"line {mark.line + 1}: " if mark else ""
        remedy = "correct it: blanks in front and no tabulators, brackets and quotes closed"
        raise InputError(path, f"is no YAML: {where}{problem}", remedy) from None
    except ValueError as error:
        problem, remedy = f"holds a value that is none: {error}", "put it in quotes if it is text"
        raise InputError(path, problem, remedy) from None
    except RecursionError:
        raise InputError(path, "holds a value inside itself", "write it out") from None


def _without_keys(path: str | os.PathLike[str]) -> InputError:
    return InputError(path, "holds no keys", "write KEY: VALUE, line by line")


def _is_json(path: str | os.PathLike[str], text: str) -> bool:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        for key, count in Counter(key for key, _ in pairs).items():
            if count > 1:
                raise InputError(path, f"says `{key}` again", "keep one of them")
        return dict(pairs)

    try:
        content = json.loads(text, object_pairs_hook=once)
    except ValueError:
        return False
    if not isinstance(content, dict):
        raise _without_keys(path)
    return True


def _require_keys_once(path: str | os.PathLike[str], node: Any) -> None:
    import yaml

    if not isinstance(node, yaml.MappingNode):
        raise _without_keys(path)
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
