"""Parts that stay in float32 while the networks around them run in half precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def mixed(device: torch.device, half: torch.dtype | None) -> AbstractContextManager:
    """Within it layers compute in `half`; None: in the precision of their inputs.

    Tensors on torch's `meta` device have a shape alone, and nothing is computed.
    """
    if device.type == "meta":
        return nullcontext()
    return torch.autocast(device.type, half or torch.bfloat16, enabled=half is not None)


def exact(device: torch.device) -> AbstractContextManager:
    """Within it everything is computed in the precision of its inputs."""
    return mixed(device, None)
