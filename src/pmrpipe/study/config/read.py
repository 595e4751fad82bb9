"""A configuration from a file or from text, checked; and its JSON schema."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pmrpipe.base.errors import InputError
from pmrpipe.study.config.study import Study
from pmrpipe.study.config.syntax import require_sound


def parse(content: dict[str, Any], source: object = "configuration") -> Study:
    """Check a configuration; InputError names the key that is wrong and what was expected."""
    try:
        return Study.model_validate(content)
    except ValidationError as error:
        raise InputError(
            source, _first_problem(error), "config/README.md lists every key"
        ) from None


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"]) or "(top level)"
    if first["type"] == "extra_forbidden":
        return f"unknown key `{key}`"
    if first["type"] == "missing":
        return f"key `{key}` is missing"
    problem = first["msg"].removeprefix("Value error, ")
    return f"key `{key}`: {problem}, got {first['input']!r}"


def load(source: str | os.PathLike[str], changes: Sequence[str] = ()) -> Study:
    """Read a study from a YAML file, or from JSON text when `source` begins with a brace.

    Parameters
    ----------
    changes : KEY=VALUE with values in YAML, in place of what the source says

    Raises
    ------
    InputError : no such file, no YAML, or a key that is wrong
    """
    study = _read(source)
    if not changes:
        return study
    return parse(study.model_dump() | dict(map(_change, changes)), source)


def _change(item: str) -> tuple[str, Any]:
    import yaml

    key, separator, value = item.partition("=")
    if not separator:
        raise InputError(item, "is not KEY=VALUE", "correct it")
    return key, yaml.safe_load(value)


def _read(source: str | os.PathLike[str]) -> Study:
    import yaml

    text = os.fspath(source)
    if text.lstrip().startswith("{"):
        return parse(json.loads(text))
    require_sound(text)
    try:
        content = yaml.safe_load(Path(text).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InputError(text, f"is not readable YAML ({error})") from None
    return parse(content or {}, text)


def schema() -> dict[str, Any]:
    """JSON schema of the configuration, for editors and for the tests."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Study.model_json_schema(),
        "title": "pmrpipe study",
    }
