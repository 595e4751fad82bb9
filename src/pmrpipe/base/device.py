"""Where networks run: the one place that asks whether there is a GPU."""

from __future__ import annotations

from pmrpipe.base.errors import InputError


def chosen_device(name: str) -> str:
    """`cpu` or `cuda`; `auto` is `cuda` where a GPU is visible.

    Raises
    ------
    InputError : `cuda` is asked for, and no GPU is visible
    """
    import torch

    if name == "cpu":
        return name
    if torch.cuda.is_available():
        return "cuda"
    if name == "cuda":
        raise InputError("device", "cuda is asked for, and no GPU is visible", "use cpu or auto")
    return "cpu"
