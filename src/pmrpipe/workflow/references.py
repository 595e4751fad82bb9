"""Beside which method each row of a study's tables is set."""

from __future__ import annotations

from collections.abc import Mapping

from pmrpipe.base.errors import InputError
from pmrpipe.methods.spec import MethodSpec, spec
from pmrpipe.study.config import Study


def references(study: Study, specs: Mapping[str, MethodSpec]) -> dict[str, str]:
    """The reference of each method that has one; empty in a study that keeps no fields.

    Without the key `reference` it is the method's teacher, where that is a method of the study.
    What the affine alone gives is set beside the first reference, as the zero of the scale.

    Raises
    ------
    InputError : the key names no method of the study, or one that deforms nothing
    """
    named = study.reference
    if named is not None:
        _require(named, specs)
    if not study.fields:
        return {}
    if named is not None:
        return {name: named for name in specs if name != named}
    own = {
        name: teacher
        for name, method in specs.items()
        if (teacher := _teacher(method, specs)) is not None and teacher in specs
    }
    if not own:
        return {}
    first = next(iter(own.values()))
    return {
        name: own.get(name, first)
        for name, method in specs.items()
        if name in own or not method.deforms
    }


def _require(named: str, specs: Mapping[str, MethodSpec]) -> None:
    if named not in specs:
        problem = f"`{named}` is not among the methods {', '.join(specs)}"
        raise InputError("reference", problem, "correct the name")
    if not specs[named].deforms:
        raise InputError("reference", f"`{named}` deforms nothing", "name one that deforms")


def _teacher(method: MethodSpec, specs: Mapping[str, MethodSpec]) -> str | None:
    """Name of a method's teacher, or of its owner's; None where there is none to be read."""
    try:
        owner = method if method.shares is None else specs.get(method.shares) or spec(method.shares)
        if owner.teacher is None:
            return None
        name = owner.teacher.method
        beside = owner.folder / name if owner.folder else None
        return spec(str(beside) if beside is not None and beside.is_file() else name).name
    except InputError:
        return None  # with given weights nobody needs the teacher
