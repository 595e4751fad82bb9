"""A BIDS dataset as a study, for those who call pmrpipe as they call other BIDS Apps.

Every participant is registered to the template, which needs nobody else: participants may be
done one by one. https://bids-apps.neuroimaging.io describes the call.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import write_text
from pmrpipe.methods.load import shipped_weights
from pmrpipe.methods.spec import spec
from pmrpipe.stages.cohort.results_folder import require_no_other_dataset
from pmrpipe.study.options.bids_app import BidsApp
from pmrpipe.study.options.common import DEFAULT_SPACE
from pmrpipe.study.space import Space

STUDY = Path("code") / "pmrpipe.yaml"


def write_study(dataset: Path, out: Path, options: BidsApp) -> Path:
    """Write the study's configuration into the output folder; its path.

    Raises
    ------
    InputError : the dataset is missing; the output is the dataset or another that pmrpipe did not
        make, or has a name that no study can have; a method needs training; no such space
    """
    if not dataset.is_dir():
        raise InputError(dataset, "no such folder", "give the BIDS dataset")
    output = out.expanduser().resolve()
    if output == dataset.resolve():
        raise InputError(out, "is the dataset itself", "name a folder of its own")
    if not re.fullmatch("[A-Za-z0-9_][A-Za-z0-9_-]*", output.name):
        remedy = "name the folder by letters, digits, - and _ alone"
        raise InputError(out, "cannot be the name of a study", remedy)
    require_no_other_dataset(output)
    content = yaml.safe_dump(_configuration(dataset, output, options), sort_keys=False)
    write_text(output / STUDY, content)
    return output / STUDY


def _configuration(dataset: Path, output: Path, options: BidsApp) -> dict[str, Any]:
    study: dict[str, Any] = {
        "cohort": output.name,
        "reader": "bids",
        "root": str(dataset.resolve()),
        "results": str(output.parent),
        "input_state": "brain" if options.brain_extracted else "head",
        "grid_mm": options.mm,
        "device": options.device,
        "pairs": {"policy": "all" if options.labels else "to-template"},
        # A job bears its pair's name: further participants leave it as it is.
        "pairs_per_job": 1,
        **_methods(options.method),
    }
    if options.space != DEFAULT_SPACE:
        study["space"] = _whole(options.space)
        _ = Space.load(study["space"])
    if options.participant_label:
        study["subjects"] = [name.removeprefix("sub-") for name in options.participant_label]
    if options.labels:
        study["labels"] = _whole(options.labels)
    if options.labels_root:
        study["inputs"] = {"labels_root": str(options.labels_root.resolve())}
    return study


def _whole(named: str) -> str:
    """The whole path of a file, for the study lies elsewhere; a name as it is."""
    path = Path(named).expanduser()
    return str(path.resolve()) if path.exists() else named


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
