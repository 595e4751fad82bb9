"""Put trained weights into the package, where `shipped` and `pmrpipe register` find them."""

from __future__ import annotations

import shutil
from pathlib import Path

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import atomic, read_json, write_json
from pmrpipe.methods.load import build_network, shipped_folder
from pmrpipe.methods.spec import spec
from pmrpipe.methods.weights import MODEL, WEIGHTS, load_weights

# Of the published package all weights are a part.
_MOST_BYTES = 10_000_000


def ship(trained: Path, dataset: Path) -> Path:
    """Copy weights that fit their method as it is now; model.json also says whose data they saw.

    Parameters
    ----------
    trained : folder of a training, with weights.safetensors and model.json
    dataset : the BIDS folder that it was trained on; its dataset_description.json must state name
        and licence

    Raises
    ------
    InputError : weights of another network, too large, or data without a licence
    """
    model = read_json(trained / MODEL)
    method = spec(model["method"])
    load_weights(build_network(method, model["network_mm"]), method, trained)
    if (trained / WEIGHTS).stat().st_size > _MOST_BYTES:
        problem = f"is larger than {_MOST_BYTES / 1e6:.0f} MB"
        raise InputError(trained / WEIGHTS, problem, "narrow the network in the method's YAML")
    described = dataset / "dataset_description.json"
    data = {key: read_json(described).get(key) for key in ("Name", "License", "DatasetDOI")}
    if not data["License"]:
        problem = "states no License"
        raise InputError(described, problem, "weights may only be passed on where the data may")
    folder = shipped_folder(method.name)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic(folder / WEIGHTS) as temporary:
        shutil.copyfile(trained / WEIGHTS, temporary)
    write_json(folder / MODEL, model | {"data": data})
    return folder
