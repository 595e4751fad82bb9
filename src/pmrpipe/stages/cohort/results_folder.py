"""The folder of results must be ours: nobody's dataset is written over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_json
from pmrpipe.base.outputs import require_no_input
from pmrpipe.base.version import VERSION

_TOOL = "pmrpipe"
DESCRIPTION = "dataset_description.json"
_REMEDY = "choose another `results` or `cohort`"


def description_of(name: str) -> dict[str, object]:
    """dataset_description.json of a study's results (BIDS derivatives)."""
    return {
        "Name": f"pmrpipe: {name}",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": _TOOL, "Version": VERSION}],
    }


def require_own_folder(description: Path, inputs: Path) -> None:
    """InputError when results would land in a dataset that pmrpipe did not make.

    Parameters
    ----------
    description : dataset_description.json of the results, there or not
    inputs : the dataset that the study reads; links to it count as the same folder
    """
    require_no_input(description.parent, [inputs], _REMEDY)
    require_no_other_dataset(description.parent, _REMEDY)


def require_no_other_dataset(folder: Path, remedy: str = "name a folder of its own") -> None:
    """InputError when a folder that is written to is a dataset that pmrpipe did not make."""
    description = folder / DESCRIPTION
    if description.exists() and (not is_own(description) or _is_raw(description)):
        problem = "is a dataset that pmrpipe did not make, and would be written over"
        raise InputError(folder, problem, remedy)


def lies_in_own_dataset(path: Path) -> bool:
    """Whether a folder above `path` is a dataset that pmrpipe made."""
    descriptions = (folder / DESCRIPTION for folder in path.absolute().parents)
    return any(is_own(description) for description in descriptions if description.is_file())


def is_own(description: Path) -> bool:
    """Whether a dataset_description.json says that pmrpipe made the dataset."""
    content = read_json(description)
    tools = content.get("GeneratedBy") if isinstance(content, dict) else None
    return isinstance(tools, list) and any(_names_us(tool) for tool in tools)


def _is_raw(description: Path) -> bool:
    """Whether it is a dataset of scans, such as the simulated ones."""
    return bool(read_json(description).get("DatasetType") == "raw")


def _names_us(tool: Any) -> bool:
    return isinstance(tool, dict) and str(tool.get("Name", "")).startswith(_TOOL)
