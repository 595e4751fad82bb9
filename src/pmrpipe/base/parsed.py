"""What the source of a module says: what it imports, and a checksum of its code.

Comments, docstrings, formatting and the descriptions of options change no checksum. Parsing some
150 modules takes a third of a second, in every job anew: what was parsed before is kept in the
user's cache by the content of the source, so that it cannot be out of date.
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pmrpipe.base.errors import InputError, WorkError
from pmrpipe.base.files import cache_folder, write_text

# The trees of another Python differ, and so do those that another version of this file makes.
_KIND = f"1 {sys.version_info[:2]}"
# Beyond so many sources those of versions that are gone are forgotten.
_MOST = 3000


@dataclass(frozen=True)
class Parsed:
    """What a source says.

    imports : full names, whatever they are: modules, or things in modules; types alone not
    checksum : of its code
    """

    imports: frozenset[str]
    checksum: str


@cache
def parsed(path: Path, module: str) -> Parsed:
    """The source of a module of that full name; InputError when it is no Python."""
    text = path.read_text(encoding="utf-8")
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    key = hashlib.sha256("\n".join([_KIND, package, text]).encode()).hexdigest()
    _USED[key] = _kept().get(key) or _said(path, text, package)
    *imports, checksum = _USED[key]
    return Parsed(frozenset(imports), checksum)


# -- what is kept -------------------------------------------------------------------------------
_USED: dict[str, list[str]] = {}


@cache
def _kept() -> dict[str, list[str]]:
    """Imports and, last, the checksum of sources that were parsed before."""
    try:
        kept = json.loads((cache_folder() / "sources.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    items = kept.items() if isinstance(kept, dict) else ()
    return {key: said for key, said in items if isinstance(said, list) and said}


def keep() -> None:
    """Keep what was parsed for the next process; a folder that cannot be written is no matter."""
    kept = _kept()
    if _USED.keys() <= kept.keys():
        return
    if len(kept) > _MOST:
        kept.clear()
    kept.update(_USED)
    try:
        write_text(cache_folder() / "sources.json", json.dumps(kept))
    except (OSError, WorkError):
        return


# -- what is parsed -----------------------------------------------------------------------------
def _said(path: Path, text: str, package: str) -> list[str]:
    try:
        module = ast.parse(text)
    except SyntaxError as error:
        raise InputError(path, f"line {error.lineno}: {error.msg}", "correct it") from None
    imports = sorted(set(_names(module, package)))
    _leave_out_words(module, text)
    return [*imports, hashlib.sha256(ast.dump(module).encode()).hexdigest()]


def _names(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            parts = alias.name.split(".")
            yield from (".".join(parts[: n + 1]) for n in range(len(parts)))
    elif isinstance(node, ast.ImportFrom):
        module = _absolute(node, package)
        yield module
        yield from (f"{module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
        for statement in node.orelse:
            yield from _names(statement, package)
    else:
        for statements in _inner(node):
            for statement in statements:
                yield from _names(statement, package)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """`from . import x` counts upwards from its package."""
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    base = parts[: len(parts) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def _leave_out_words(module: ast.Module, text: str) -> None:
    """Take out docstrings, and `description=` of options."""
    for statements in _bodies(module):
        statements[:] = [item for item in statements if not _is_docstring(item)]
    # Few modules have options: the expressions of the others need not be looked at.
    if "description" in text:
        for node in ast.walk(module):
            if isinstance(node, ast.Call):
                node.keywords = [word for word in node.keywords if word.arg != "description"]


def _bodies(node: ast.AST) -> Iterator[list[ast.stmt]]:
    """Every list of statements in a tree, from the outside in."""
    for statements in _inner(node):
        yield statements
        for statement in statements:
            yield from _bodies(statement)


def _inner(node: ast.AST) -> Iterator[list[ast.stmt]]:
    """The lists of statements of a statement itself; expressions have none."""
    for part in (node, *getattr(node, "handlers", ()), *getattr(node, "cases", ())):
        for name in ("body", "orelse", "finalbody"):
            statements = getattr(part, name, None)
            if isinstance(statements, list):
                yield statements


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
