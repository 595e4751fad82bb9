"""Weights of a learned method: weights.safetensors, checked against model.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import atomic, read_json

if TYPE_CHECKING:
    from pmrpipe.methods.network_method import NetworkMethod
    from pmrpipe.methods.spec import MethodSpec

WEIGHTS, MODEL = "weights.safetensors", "model.json"


def save_weights(method: NetworkMethod, folder: Path) -> None:
    """Write the parameters, atomically."""
    from safetensors.torch import save_file

    state = {name: value.detach().cpu().contiguous() for name, value in method.state_dict().items()}
    with atomic(folder / WEIGHTS) as temporary:
        save_file(state, temporary)


def require_usable(folder: Path, method: str | None = None) -> None:
    """InputError unless a folder holds whole weights, of `method` if it is named.

    Headers alone are read, and neither torch nor safetensors is needed: a study asks before its
    first job. Whether the weights fit the network is seen when they are loaded.
    """
    path, model = folder / WEIGHTS, read_json(folder / MODEL)
    if method is not None and model.get("method") != method:
        problem = f"holds weights of `{model.get('method')}`, not of `{method}`"
        raise InputError(folder, problem, "name the right folder")
    try:
        size = path.stat().st_size
        with open(path, "rb") as handle:
            length = int.from_bytes(handle.read(8), "little")
            header = json.loads(handle.read(min(length, size)))
        ends = [item["data_offsets"][1] for key, item in header.items() if key != "__metadata__"]
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "name a folder") from None
    except (ValueError, AttributeError, TypeError, KeyError):
        problem = "holds no weights (is it a link or a pointer whose content is not here?)"
        raise InputError(path, problem, "fetch or train them again") from None
    if size != 8 + length + max(ends, default=0):
        raise InputError(path, "is truncated", "copy it again")


def load_weights(
    method: NetworkMethod, spec: MethodSpec, folder: Path, *, to_begin: bool = False
) -> dict[str, Any]:
    """Load parameters into `method`, and return model.json.

    `to_begin` with: those of any method of the same network, trained at any voxel size; a network
    that has grown keeps its first weights for what is new.

    Raises
    ------
    InputError : missing or broken files; weights of another method, another network or another
        voxel size
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    model = read_json(folder / MODEL)
    path = folder / WEIGHTS
    if not to_begin:
        _check(model, method, spec, folder)
    try:
        state = load_file(path)
        first = method.state_dict() if to_begin else {}
        method.load_state_dict(first | state)
    except FileNotFoundError:
        raise InputError(path, "no such file", "train the method again") from None
    except (SafetensorError, OSError) as error:
        raise InputError(path, f"is not readable ({error})", "train the method again") from None
    except RuntimeError:
        problem = f"does not fit the network of {spec.name}"
        raise InputError(path, problem, "use the YAML that it was trained with") from None
    return model


def _check(model: dict[str, Any], method: NetworkMethod, spec: MethodSpec, folder: Path) -> None:
    if model.get("method") != spec.owner:
        problem = f"holds weights of `{model.get('method')}`, not of `{spec.owner}`"
        raise InputError(folder, problem, "name the right folder")
    if model.get("network_mm") != method.network_mm:
        problem = f"was trained at {model.get('network_mm')} mm, not {method.network_mm} mm"
        raise InputError(folder, problem, "set network_mm to match")
