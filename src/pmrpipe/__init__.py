"""From raw brain MRI to registered brains and a Dice table."""

from typing import TYPE_CHECKING, Any

from pmrpipe.base.version import VERSION as __version__

if TYPE_CHECKING:
    from pmrpipe.native.registration import register

__all__ = ["__version__", "register"]


def __getattr__(name: str) -> Any:
    # Loaded when it is asked for: `pmrpipe --help` must not wait for it.
    if name == "register":
        from pmrpipe.native.registration import register

        return register
    raise AttributeError(f"module `pmrpipe` has no attribute `{name}`")
