"""From raw T1-weighted brain MRI to registered brains and a Dice table."""

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "register":
        import importlib

        return importlib.import_module("pmrpipe.register")
    raise AttributeError(f"module `pmrpipe` has no attribute `{name}`")
