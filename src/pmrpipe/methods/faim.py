"""FAIM: fast alignment with an anti-folding penalty (Kuang & Schmah 2018)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from pmrpipe.losses.regularity import folding, squared_gradient
from pmrpipe.losses.similarity import local_correlation
from pmrpipe.methods.network_method import LearnedMethod
from pmrpipe.networks.inception import FaimNetwork
from pmrpipe.spatial.resize import crop
from pmrpipe.spatial.warp import warp


class Faim(LearnedMethod):
    """A displacement at full resolution, not integrated, with penalties that keep it regular.

    Parameters
    ----------
    network : arguments of `FaimNetwork`
    window : edge of the local correlation's cube, voxels
    smooth : weight of the mean squared gradient of the displacement
    fold : weight of the sum of (|det J| - det J) / 2, with the true determinant
    """

    def __init__(
        self,
        network: dict[str, Any] | None = None,
        window: int = 9,
        smooth: float = 1.0,
        fold: float = 1e-3,
        network_mm: float | None = None,
    ) -> None:
        super().__init__(network_mm)
        self.network = FaimNetwork(**(network or {}))
        self.window, self.smooth, self.fold = window, smooth, fold

    def deform(self, moving: Tensor, fixed: Tensor) -> tuple[Tensor, None]:
        """Displacement on the images' grid; there is no velocity."""
        return crop(self.predict(moving, fixed), moving.shape[2:]), None

    def objective(self, moving: Tensor, fixed: Tensor) -> dict[str, Tensor]:
        """1 - local correlation, smoothness and folding."""
        displacement, _ = self.deform(moving, fixed)
        image = 1 - local_correlation(fixed, warp(moving, displacement), self.window)
        smooth = self.smooth * squared_gradient(displacement)
        fold = self.fold * folding(displacement)
        return {"image": image, "smooth": smooth, "fold": fold, "total": image + smooth + fold}
