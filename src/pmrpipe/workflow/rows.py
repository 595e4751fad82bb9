"""Rows of a study's tables: methods, their further seeds, and instance optimisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pmrpipe.base.errors import InputError
from pmrpipe.methods.spec import MethodSpec, spec, spec_path
from pmrpipe.study.config import Study
from pmrpipe.study.keys import SEED_MARK


@dataclass(frozen=True)
class Run:
    """One row of the tables.

    source : the method as the study names it
    seed : of its training
    weights : whose weights it uses, its own name or another row's
    refine : steps of instance optimisation of the field
    finetune : steps in which the weights are tuned to each pair
    """

    source: str
    seed: int
    weights: str
    refine: int = 0
    finetune: int = 0

    @property
    def optimised(self) -> bool:
        """Whether each pair is optimised further."""
        return bool(self.refine or self.finetune)

    def named(self, name: str, method: MethodSpec) -> MethodSpec:
        """The method's specification under this row's name."""
        title = method.title
        if SEED_MARK in name:
            title += f", seed {self.seed}"
        changes: dict[str, Any] = {"name": name, "title": title}
        if self.refine:
            changes["title"] += f", {self.refine} steps of instance optimisation"
        if self.finetune:
            changes["title"] += f", weights tuned to each pair in {self.finetune} steps"
        if self.optimised:
            # What the network says is where such a row begins, not what it ends with; but the
            # optimisation can be repeated on resampled images (methods/bootstrap.py).
            resampled = bool(self.refine) and not method.refines_itself
            changes |= {"posterior": resampled, "levels": False}
        return method.model_copy(update=changes)


def rows(study: Study) -> dict[str, Run]:
    """The rows by name, each method with those that use its weights after it."""
    runs: dict[str, Run] = {}
    for source in study.methods:
        method = spec(source)
        name, owner = method.name, method.owner
        if name in runs and spec_path(runs[name].source) != spec_path(source):
            problem = f"has the name {name}, and so has {runs[name].source}"
            raise InputError(source, problem, "change the key `name` of one of them")
        runs[name] = Run(source, study.seed, owner)
        for seed in study.seeds.get(name, ()):
            if seed == study.seed:
                problem = f"{seed} is the study's own seed, with which {name} is trained already"
                raise InputError("seeds", problem, "name other ones")
            runs[f"{name}{SEED_MARK}{seed}"] = Run(source, seed, f"{name}{SEED_MARK}{seed}")
        if name in study.refine:
            steps = study.refine[name]
            runs[f"{name}_refine-{steps}"] = Run(source, study.seed, owner, refine=steps)
        if name in study.finetune:
            steps = study.finetune[name]
            runs[f"{name}_finetune-{steps}"] = Run(source, study.seed, owner, finetune=steps)
    return runs


def require_owners(study: Study, runs: Mapping[str, Run]) -> None:
    """InputError for a method that uses another's weights, where there will be none."""
    for name, run in runs.items():
        method = spec(run.source)
        if method.shares is None:
            continue
        if SEED_MARK in name:
            problem = f"`{method.name}` uses the weights of `{method.owner}`"
            raise InputError("seeds", problem, "name the seeds of that one")
        if method.owner not in runs and method.owner not in study.weights:
            problem = f"uses the weights of `{method.owner}`, which this study does not have"
            remedy = f"add it to `methods`, or name weights: {{{method.owner}: FOLDER}}"
            raise InputError(method.name, problem, remedy)
