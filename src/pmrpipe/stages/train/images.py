"""Scans at the network's voxel size: held in memory where they fit, else read as they are drawn."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from torch import Tensor

from pmrpipe.study.pack import Arrays


class Images:
    """Images of `keys` on a grid of `shape`, on the device that asks for them.

    Parameters
    ----------
    budget : bytes that may be held; by default half of what the device has free. A cohort that
        needs more is read from the memory-mapped arrays, scan by scan.
    """

    def __init__(
        self,
        arrays: Arrays,
        keys: Sequence[str],
        shape: tuple[int, int, int],
        budget: int | None = None,
    ) -> None:
        self.arrays, self.shape, self.budget = arrays, shape, budget
        self.needed = 4 * len(set(keys)) * shape[0] * shape[1] * shape[2]
        self._held: dict[str, Tensor] = {}
        self._fit: bool | None = None

    def get(self, key: str, device: torch.device) -> Tensor:
        """Image (1, 1, *shape), float32 in [0, 1]."""
        if key in self._held:
            return self._held[key]
        image = self.arrays.image(key, self.shape).to(device)
        if self._fit is None:
            self._fit = self.needed <= (self.budget or free_memory(device) // 2)
        if self._fit:
            self._held[key] = image
        return image


def free_memory(device: torch.device) -> int:
    """Bytes that the device has free."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
