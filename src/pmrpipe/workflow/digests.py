"""What a rule's results depend on besides files: the sources of its verb, columns of a table."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path

from pmrpipe.base.digest import digest
from pmrpipe.methods.spec import MethodSpec
from pmrpipe.study.labels import label_table_path, labels_of
from pmrpipe.workflow.verbs import WORK

# What registration does only where the study asks for it.
_REFINE, _FINETUNE = "pmrpipe.methods.refine", "pmrpipe.methods.finetune"
_UNCERTAINTY = "pmrpipe.stages.register.uncertainty"


def method_digest(spec: MethodSpec, path: Path, verb: str, **also: bool) -> str:
    """Digest of a verb as one method runs it: the method's parts and its YAML too.

    A module of one's own lies beside the YAML, or where Python finds it.

    Parameters
    ----------
    path : the YAML
    also : as for `method_modules`

    Raises
    ------
    InputError : a module that is nowhere, or no Python
    """
    modules, without = method_modules(spec, verb, **also)
    return digest(*modules, without=without, files=[path], folders=[path.resolve().parent])


def method_modules(
    spec: MethodSpec,
    verb: str,
    *,
    refined: bool = False,
    finetuned: bool = False,
    uncertain: bool = False,
) -> tuple[list[str], list[str]]:
    """Modules that a verb runs for one method, and those that it could run but does not.

    Parameters
    ----------
    refined, finetuned, uncertain : whether the verb also refines, tunes weights to each pair, or
        maps the uncertainty
    """
    modules = [*WORK[verb], *spec.modules()]
    without: list[str] = []
    asked = {_REFINE: refined, _FINETUNE: finetuned, _UNCERTAINTY: uncertain}
    for module, runs in asked.items():
        (modules if runs else without).append(module)
    return modules, without


def columns_digest(table: str, columns: Sequence[str]) -> str:
    """Digest of columns of a label table."""
    with open(label_table_path(table), encoding="utf-8-sig", newline="") as handle:
        reader = csv.DictReader(handle, delimiter="\t")
        own = "index" in (reader.fieldnames or ())
        rows: object = [[row.get(name) for name in columns] for row in reader] if own else None
    if not own:  # a colour table of another program
        rows = [(label.index, label.name) for label in labels_of(table)]
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:12]
