"""Digest of the sources that a rule runs, so that a code fix reruns what it touches.

Snakemake notices a changed shell line but not a changed module. A rule therefore carries, as a
parameter, the digest of its module's import closure within pmrpipe. Comments, docstrings and
formatting do not count.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_PACKAGE = _ROOT.name
# A release alone changes no result.
_LEFT_OUT = {_PACKAGE, f"{_PACKAGE}.base.version"}


def digest(*roots: str, files: tuple[Path, ...] = ()) -> str:
    """Twelve hexadecimal digits for modules (`pmrpipe.x.y`), functions (`pmrpipe.x:f`) and files.

    A function counts with its own body and the modules that its body imports; a module with
    everything that it imports, at any depth, inside functions too.
    """
    closure: set[str] = set()
    parts: list[str] = []
    for root in roots:
        module, _, function = root.partition(":")
        if function:
            node = _function(module, function)
            parts.append(f"{root} {ast.dump(_without_docstrings(node))}")
            todo = _imports(node, module)
        else:
            todo = {module}
        _grow(closure, todo)
    parts += [f"{name} {_normalised(name)}" for name in sorted(closure)]
    parts += [path.read_text(encoding="utf-8") for path in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def closure(root: str) -> frozenset[str]:
    """Names of all pmrpipe modules that `root` imports, itself included."""
    found: set[str] = set()
    _grow(found, {root})
    return frozenset(found)


def _grow(found: set[str], todo: set[str]) -> None:
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo |= _module_imports(name) - found


def _path(module: str) -> Path | None:
    relative = Path(*module.split(".")[1:]) if "." in module else Path()
    for candidate in (_ROOT / relative.with_suffix(".py"), _ROOT / relative / "__init__.py"):
        if relative != Path() and candidate.is_file():
            return candidate
    return _ROOT / "__init__.py" if relative == Path() else None


@cache
def _tree(module: str) -> ast.Module:
    path = _path(module)
    if path is None:
        raise ValueError(f"there is no module {module}")
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _module_imports(module: str) -> frozenset[str]:
    # A submodule runs its package's __init__ first.
    parents = module.split(".")[1:-1]
    packages = {".".join([_PACKAGE, *parents[: n + 1]]) for n in range(len(parents))}
    return frozenset(_imports(_tree(module), module) | packages)


def _imports(tree: ast.AST, module: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    inside = {name for name in found if name.split(".")[0] == _PACKAGE}
    return {name for name in inside if name not in _LEFT_OUT and _path(name) is not None}


@cache
def _normalised(module: str) -> str:
    return ast.dump(_without_docstrings(_tree(module)))


def _function(module: str, name: str) -> ast.AST:
    for node in _tree(module).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
    raise ValueError(f"there is no function {name} in {module}")


def _without_docstrings(tree: ast.AST) -> ast.AST:
    tree = ast.parse(ast.unparse(tree))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [item for item in body if not _is_docstring(item)]  # type: ignore[attr-defined]
    return tree


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
