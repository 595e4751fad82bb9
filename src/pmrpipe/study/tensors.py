"""safetensors files written array by array, and their headers read without a library.

A file begins with the length of its header, eight bytes, and the header, JSON: for each array its
type, shape and place. Ours say more in the entry "pmrpipe" of the metadata, JSON too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import atomic

Dtype = Literal["U16", "F16"]
_NUMPY: dict[str, str] = {"U16": "<u2", "F16": "<f2"}
# No header is longer; a longer one is another kind of file.
_LONGEST = 100_000_000


@dataclass(frozen=True)
class Entry:
    """One array: `make` gives it when its turn comes, so that few lie in memory at once."""

    name: str
    shape: tuple[int, ...]
    make: Callable[[], np.ndarray]


def write_tensors(
    out: str | os.PathLike[str], entries: Sequence[Entry], dtype: Dtype, meta: Mapping[str, Any]
) -> None:
    """Write arrays of one type, atomically.

    Raises
    ------
    InputError : an array of another shape than its entry says
    """
    header = _header(entries, dtype, meta)
    with atomic(out) as temporary, open(temporary, "wb") as handle:
        handle.write(len(header).to_bytes(8, "little") + header)
        for entry in entries:
            values = entry.make()
            if values.shape != entry.shape:
                problem = f"has shape {values.shape}, the others {entry.shape}"
                raise InputError(entry.name, problem, "bring all to one grid")
            handle.write(np.ascontiguousarray(values, _NUMPY[dtype]).tobytes())


def _header(entries: Sequence[Entry], dtype: Dtype, meta: Mapping[str, Any]) -> bytes:
    """The JSON header, padded to whole words."""
    content: dict[str, Any] = {"__metadata__": {"pmrpipe": json.dumps(meta)}}
    place = 0
    for entry in entries:
        end = place + 2 * int(np.prod(entry.shape))
        content[entry.name] = {
            "dtype": dtype,
            "shape": list(entry.shape),
            "data_offsets": [place, end],
        }
        place = end
    text = json.dumps(content).encode()
    return text + b" " * (-len(text) % 8)


def read_header(path: Path) -> tuple[dict[str, Any], frozenset[str]]:
    """What "pmrpipe" says, and the names of the arrays; no array is read.

    Raises
    ------
    InputError : no such file, a broken one, or one that pmrpipe did not write
    """
    remedy = "run the rule that packs it"
    try:
        with open(path, "rb") as handle:
            length = int.from_bytes(handle.read(8), "little")
            content = json.loads(handle.read(length) if length <= _LONGEST else "")
            end = 8 + length + max(v["data_offsets"][1] for k, v in content.items() if k[0] != "_")
            if end != handle.seek(0, os.SEEK_END):
                raise ValueError("it is cut short")
        return json.loads(content.pop("__metadata__")["pmrpipe"]), frozenset(content)
    except FileNotFoundError:
        raise InputError(path, "no such file", remedy) from None
    except (OSError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(path, f"is no pack of pmrpipe ({error})", remedy) from None


def read_tensor(path: Path, name: str) -> np.ndarray:
    """One array, by memory map."""
    from safetensors import safe_open

    with safe_open(path, framework="np") as handle:
        return handle.get_tensor(name)
