"""Put trained weights into the package, where `shipped` and `pmrpipe register` find them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import atomic, read_json, write_json
from pmrpipe.methods.load import build_network, shipped_folder
from pmrpipe.methods.spec import spec
from pmrpipe.methods.weights import MODEL, WEIGHTS, load_weights
from pmrpipe.stages.train.licence import allowed_licence

# Of the published package all weights are a part.
_MOST_BYTES = 10_000_000
_SAID = ("Name", "License", "DatasetDOI")


def ship(trained: Path, dataset: Path | None = None) -> Path:
    """Copy weights that fit their method as it is now; model.json also says whose data they saw.

    Parameters
    ----------
    trained : folder of a training, with weights.safetensors and model.json
    dataset : the BIDS folder of the study's own cohort, where its model.json does not know whose
        data it saw: dataset_description.json must state name and licence

    Raises
    ------
    InputError : weights of another network, too large, or a cohort whose licence is not CC0, PDDL,
        CC BY, Apache, MIT or BSD
    """
    model = read_json(trained / MODEL)
    method = spec(model["method"])
    load_weights(build_network(method, model["network_mm"]), method, trained)
    if (trained / WEIGHTS).stat().st_size > _MOST_BYTES:
        problem = f"is larger than {_MOST_BYTES / 1e6:.0f} MB"
        raise InputError(trained / WEIGHTS, problem, "narrow the network in the method's YAML")
    cohorts = _cohorts(model, trained / MODEL, dataset)
    for name, facts in cohorts.items():
        _require_licence(name, facts)
    folder = shipped_folder(method.name)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic(folder / WEIGHTS) as temporary:
        shutil.copyfile(trained / WEIGHTS, temporary)
    data = {key: next(iter(cohorts.values())).get(key) for key in _SAID}
    write_json(folder / MODEL, model | {"cohorts": cohorts, "data": data})
    return folder


def _cohorts(model: dict[str, Any], path: Path, dataset: Path | None) -> dict[str, dict[str, Any]]:
    """What is known of each cohort, the study's own first; `dataset` describes that one."""
    cohorts = {name: dict(facts) for name, facts in model.get("cohorts", {"own": {}}).items()}
    own = next(iter(cohorts), None)
    if own is None:
        raise InputError(path, "names no cohort", "train it again")
    if dataset is not None:
        described = read_json(dataset / "dataset_description.json")
        cohorts[own] |= {key: described.get(key) for key in _SAID}
    return cohorts


def _require_licence(name: str, facts: dict[str, Any]) -> None:
    licence = facts.get("License")
    remedy = "weights may only be passed on where the data may: CC0, PDDL, CC BY, Apache, MIT, BSD"
    subject = f"cohort `{name}` ({facts.get('Name') or 'no name'})"
    if not licence:
        raise InputError(subject, "its dataset_description.json states no License", remedy)
    if allowed_licence(str(licence)) is None:
        raise InputError(subject, f"its licence `{licence}` is not one of those", remedy)
