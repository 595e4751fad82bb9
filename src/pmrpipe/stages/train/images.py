"""Scans and targets at the network's voxel size: held in memory where they all fit."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from pmrpipe.base.errors import InputError
from pmrpipe.images.volume import Grid
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.geodesic import white_on
from pmrpipe.methods.geodesic_file import meta_kernel
from pmrpipe.spatial.kernels import Kernel
from pmrpipe.study.pack import Arrays
from pmrpipe.study.target_pack import Targets


class Held:
    """Keeps what was read once, if all of it fits.

    Parameters
    ----------
    needed : bytes of all that may be read
    budget : bytes that may be held; by default half of what the device has free. What needs more
        is read from the memory-mapped files each time that it is drawn.
    """

    def __init__(self, needed: int, budget: int | None = None) -> None:
        self.needed, self.budget = needed, budget
        self.kept: dict[Any, Any] = {}
        self._fit: bool | None = None

    def get(self, name: Any, device: torch.device, read: Callable[[], Any]) -> Any:
        """What `read` returns, or returned before under that name."""
        if name in self.kept:
            return self.kept[name]
        value = read().to(device)
        if self._fit is None:
            self._fit = self.needed <= (self.budget or free_memory(device) // 2)
        if self._fit:
            self.kept[name] = value
        return value


class Images:
    """Images of several cohorts on a grid of `shape`, on the device that asks for them.

    intensities : what becomes of each image's intensities
    """

    def __init__(
        self,
        arrays: Mapping[str, Arrays],
        shape: tuple[int, int, int],
        held: Held,
        intensities: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.arrays, self.shape, self.held = dict(arrays), shape, held
        self.intensities = intensities or (lambda image: image)

    def get(self, cohort: str, key: str, device: torch.device) -> Tensor:
        """Image (1, 1, *shape), float32 in [0, 1]."""
        return self.held.get(
            (cohort, key),
            device,
            lambda: self.intensities(self.arrays[cohort].image(key, self.shape)),
        )


class Taught:
    """What a teacher says of pairs, on the network's grid.

    Parameters
    ----------
    kernel : of a network that learns initial momenta; None: it learns deformations

    Raises
    ------
    InputError : momenta are wanted, and the targets hold none or those of another kernel
    """

    def __init__(
        self, targets: Targets, grid: Grid, held: Held, kernel: Kernel | None = None
    ) -> None:
        self.targets, self.grid, self.held, self.kernel = targets, grid, held, kernel
        if kernel is None:
            return
        if targets.momenta is None:
            problem = f"holds no momenta: `{targets.teacher}` does not shoot"
            raise InputError(targets.path, problem, "name a teacher such as lddmm")
        if meta_kernel(targets.momenta["kernel"]) != kernel:
            problem = f"is of `{targets.teacher}`, whose kernel is not the network's"
            raise InputError(targets.path, problem, "give both YAML files the same kernel")

    def get(self, pair: tuple[str, str], device: torch.device) -> Deformation | dict[str, Tensor]:
        """The teacher's deformation of a pair, (1, 3, *grid.shape) in voxels.

        Of a network that learns momenta: K^1/2 m of its momentum, of the same shape.
        """
        if self.kernel is None:
            return self.held.get(pair, device, lambda: self._read(pair))
        return {"white": self.held.get(pair, device, lambda: self._white(pair))}

    def _white(self, pair: tuple[str, str]) -> Tensor:
        assert self.kernel is not None
        values, grid = self.targets.momentum(pair)
        return white_on(torch.from_numpy(values)[None], self.kernel, grid, self.grid)

    def _read(self, pair: tuple[str, str]) -> Deformation:
        whole = Deformation.from_millimetres(self.targets.field(pair), self.targets.grid)
        return whole.resampled(self.grid)


def free_memory(device: torch.device) -> int:
    """Bytes that the device has free."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
