"""A BIDS dataset as a study, for those who call pmrpipe as they call other BIDS Apps.

Every participant is registered to the template, which needs nobody else: participants may be
done one by one. https://bids-apps.neuroimaging.io describes the call.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import write_text
from pmrpipe.methods.load import shipped_weights
from pmrpipe.methods.spec import spec

STUDY = Path("code") / "pmrpipe.yaml"


@dataclass(frozen=True)
class BidsCall:
    """What the command says.

    participants : with or without `sub-`; none: all of the dataset
    methods : shipped names or YAML files; networks with weights that come with pmrpipe
    labels : table of a dataset with label maps, which are compared between participants
    labels_root : dataset that holds the label maps, where it is another one
    mm : voxel size of the template grid
    """

    dataset: Path
    output: Path
    participants: Sequence[str] = ()
    methods: Sequence[str] = ("affine", "pmr-plus")
    labels: str | None = None
    labels_root: Path | None = None
    brain_extracted: bool = False
    mm: float = 1.0
    device: str = "auto"


def write_study(call: BidsCall) -> Path:
    """Write the study's configuration into the output folder; its path.

    Raises
    ------
    InputError : the dataset is missing; the output is the dataset, or has a name that no study
        can have; a method needs training
    """
    if not call.dataset.is_dir():
        raise InputError(call.dataset, "no such folder", "give the BIDS dataset")
    output = call.output.expanduser().resolve()
    if output == call.dataset.resolve():
        raise InputError(call.output, "is the dataset itself", "name a folder of its own")
    if not re.fullmatch("[A-Za-z0-9_-]+", output.name):
        remedy = "name the folder by letters, digits, - and _ alone"
        raise InputError(call.output, "cannot be the name of a study", remedy)
    content = yaml.safe_dump(_configuration(call, output), sort_keys=False)
    write_text(output / STUDY, content)
    return output / STUDY


def _configuration(call: BidsCall, output: Path) -> dict[str, Any]:
    study = {
        "cohort": output.name,
        "reader": "bids",
        "root": str(call.dataset.resolve()),
        "results": str(output.parent),
        "input_state": "brain" if call.brain_extracted else "head",
        "grid_mm": call.mm,
        "device": call.device,
        "pairs": {"policy": "all" if call.labels else "to-template"},
        # A job bears its pair's name: further participants leave it as it is.
        "pairs_per_job": 1,
        **_methods(call.methods),
    }
    if call.participants:
        study["subjects"] = [name.removeprefix("sub-") for name in call.participants]
    if call.labels:
        table = Path(call.labels)
        study["labels"] = str(table.resolve()) if table.exists() else call.labels
    if call.labels_root:
        study["inputs"] = {"labels_root": str(call.labels_root.resolve())}
    return study


def _methods(names: Sequence[str]) -> dict[str, Any]:
    """The keys `methods`, `weights` and `refine`: networks as they come, and refined."""
    specs = {name: spec(name) for name in names}
    learned = {name: method for name, method in specs.items() if method.learned}
    for name in learned:
        if shipped_weights(name) is None:
            remedy = "train it in a study of your own (config/bids.yaml), or take pmr-plus"
            raise InputError(name, "comes without weights", remedy)
    paths = [str(Path(name).resolve()) if Path(name).suffix else name for name in names]
    return {
        "methods": paths,
        "weights": dict.fromkeys(learned, "shipped"),
        "refine": {name: method.refine for name, method in learned.items() if method.refine},
    }
