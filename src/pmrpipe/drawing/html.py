"""Pages from templates: one head, one way to render."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pmrpipe.base.version import VERSION


def render(
    template: Path, filters: Mapping[str, Callable[..., Any]] | None = None, **values: Any
) -> str:
    """The page that a Jinja template gives; text is escaped, and an unknown name is an error.

    A template may import macros from the files beside it and from this folder; `head.html` here
    has the head of every page. `version` is pmrpipe's.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters or {})
    return environment.get_template(template.name).render(version=VERSION, **values)
