"""Which modules a module imports: pmrpipe's own, and those beside a method of one's own.

Sources are read, never run: planning imports neither torch nor anybody's module.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from pathlib import Path

from pmrpipe.base.errors import InputError
from pmrpipe.base.parsed import Parsed, parsed

_ROOT = Path(__file__).resolve().parents[1]
PACKAGE = _ROOT.name
# A release alone changes no result.
_LEFT_OUT = {PACKAGE, f"{PACKAGE}.base.version"}
# What pmrpipe itself runs on: its methods do not rerun with a version of these, nor do others.
_OWN = {"ants", "nibabel", "nipype", "numpy", "pandas", "pytorch_lightning", "scipy", "torch"}


@dataclass(frozen=True)
class Sources:
    """The modules of pmrpipe and those in `folders`, which come first to first."""

    folders: tuple[Path, ...] = ()

    @classmethod
    def of(cls, modules: Iterable[str], folders: Iterable[Path] = ()) -> Sources:
        """Sources that hold `modules`, wherever Python would find them.

        Raises
        ------
        InputError : a module lies in none of the folders, and is not installed
        """
        places = list(folders)
        for name in modules:
            if name.split(".")[0] != PACKAGE and cls(tuple(places)).path(name) is None:
                places += _source_folder(name, places)
        return cls(tuple(places))

    def path(self, module: str) -> Path | None:
        """The file of a module; None when it is not among these sources."""
        return _file(self.folders, module)

    def closure(self, modules: Iterable[str], without: Iterable[str] = ()) -> frozenset[str]:
        """`modules` and everything that they import from these sources, at any depth.

        `without` names modules that are imported but not run; what they import is left out too.
        """
        todo = {name for name in modules if self.path(name) is not None}
        names, passed = set(), set(without) - todo
        while todo:
            name = todo.pop()
            names.add(name)
            todo |= self.imports(name) - names - passed
        return frozenset(names)

    def imports(self, module: str) -> frozenset[str]:
        """What a module imports from these sources, inside functions too; types alone not."""
        return _imports(self, module)

    def parsed(self, module: str) -> Parsed:
        """What the source of a module says; ValueError when it is not among these."""
        return parsed(self.file(module), module)

    def installed(self, modules: Iterable[str]) -> list[str]:
        """Names and versions of further packages that modules of one's own import, or are."""
        tops = set()
        for module in modules:
            if self.path(module) is None:
                tops.add(module.split(".")[0])
            elif module.split(".")[0] != PACKAGE:
                names = self.parsed(module).imports
                tops |= {
                    name.split(".")[0] for name in names if self.path(name.split(".")[0]) is None
                }
        tops -= {PACKAGE, *_OWN, *sys.stdlib_module_names}
        return [f"{top} {_version(top)}" for top in sorted(tops)]

    def file(self, module: str) -> Path:
        """The file of a module that is among these sources; ValueError when it is not."""
        path = self.path(module)
        if path is None:
            raise ValueError(f"there is no module {module}")
        return path


@cache
def _file(folders: tuple[Path, ...], module: str) -> Path | None:
    first, *inner = module.split(".")
    roots = [_ROOT] if first == PACKAGE else [folder / first for folder in folders]
    for root in roots:
        path = root.joinpath(*inner)
        # A name with a dot in it is no suffix.
        for file in (path.parent / f"{path.name}.py", path / "__init__.py"):
            if file.is_file():
                return file
    return None


@cache
def _imports(sources: Sources, module: str) -> frozenset[str]:
    # A submodule runs its package's __init__ first.
    parts = module.split(".")
    names = {".".join(parts[: n + 1]) for n in range(len(parts) - 1)}
    names |= sources.parsed(module).imports
    return frozenset(n for n in names if n not in _LEFT_OUT and sources.path(n) is not None)


def _source_folder(module: str, folders: Iterable[Path]) -> list[Path]:
    """The folder of a module that is developed elsewhere; none for one that is installed."""
    top = module.split(".")[0]
    place = find_spec(top)
    if place is None or place.origin is None:
        where = ", ".join(map(str, folders)) or "its YAML"
        problem = f"no such module beside {where}, and none is installed"
        raise InputError(module, problem, f"put {top}.py beside the method's YAML")
    path = Path(place.origin)
    fixed = {"site-packages", "dist-packages"} & set(path.parts) or top in sys.stdlib_module_names
    return [] if fixed else [path.parents[1] if path.name == "__init__.py" else path.parent]


def _version(top: str) -> str:
    """Version of the distribution that an import name belongs to."""
    for name in (top, *packages_distributions().get(top, ())):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "unknown"
